/** The console: one page for each address, over the public API. */

import { StrictMode, useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { at } from '../base';
import { givenKey } from '../key';
import { client } from './api';
import './console.css';
import { WindowDrop } from './DropZone';
import { ForgetKey, KeyForm, useRefusal } from './KeyForm';
import { useConnectionLost } from './live';
import { Home } from './pages/Home';
import { Image } from './pages/Image';
import { New } from './pages/New';
import { Request } from './pages/Request';
import { Requests } from './pages/Requests';
import { System } from './pages/System';
import { Link, usePath } from './router';
import { Empty } from './ui';

function page(path: string): [title: string, page: React.ReactNode] {
  const [, first = '', id = '', rest] = path.split('/');
  if (rest !== undefined) return ['Not found', <Missing />];
  if (first === 'requests' && id) return ['Request', <Request key={id} id={id} />];
  if (first === 'images' && id) return ['Image', <Image key={id} id={id} />];
  if (id) return ['Not found', <Missing />];
  if (first === '') return ['Compress', <Home />];
  if (first === 'new') return ['Check a CSV', <New />];
  if (first === 'requests') return ['Requests', <Requests />];
  if (first === 'system') return ['System', <System />];
  return ['Not found', <Missing />];
}

function Missing() {
  return (
    <Empty page title="There is nothing at this address">
      <Link href="/">Back to the start page</Link>
    </Empty>
  );
}

function App() {
  const path = usePath();
  const lost = useConnectionLost();
  const refusal = useRefusal();
  const [title, shown] = page(path);
  useEffect(() => {
    document.title = `${title} · Halftone`;
  }, [title]);
  const current = (href: string) => (path === href ? ('page' as const) : undefined);
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <Link href="/" className="name" aria-label="Halftone">
          <img src={at('/icon.svg')} alt="" width="24" height="24" />
          <span>Halftone</span>
        </Link>
        <nav aria-label="Pages">
          <Link href="/requests" aria-current={current('/requests')}>
            Requests
          </Link>
          <Link href="/system" aria-current={current('/system')}>
            System
          </Link>
          <a href={at('/playground')}>Playground</a>
        </nav>
        <div className="connection" role="status">
          {lost && !refusal && 'Connection lost. Reconnecting…'}
        </div>
        {givenKey() && <ForgetKey />}
      </header>
      <main id="main" tabIndex={-1}>
        {refusal ? <KeyForm refusal={refusal} /> : shown}
      </main>
      {!refusal && <WindowDrop />}
    </>
  );
}

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Provider value={client}>
      <App />
    </Provider>
  </StrictMode>,
);
