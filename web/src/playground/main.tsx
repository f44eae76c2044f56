/** GraphiQL for Halftone: with files for `Upload` variables, a choice of transport, and operations ready to run. */

import { GraphiQL } from 'graphiql';
import 'graphiql/style.css';
import { type DocumentNode, type GraphQLSchema, parse } from 'graphql';
import { PluginContextProvider } from '@graphiql/react';
import { StrictMode, useEffect, useMemo, useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { at } from '../base';
import { givenKey, showKey } from '../key';
import { type Choices, type Transport, createFetcher } from './fetcher';
import { operationsPlugin } from './Operations';
import { operations } from './operations';
import './playground.css';
import { uploadPaths } from './uploads';

const TRANSPORT = 'halftone:transport';
const PLUGINS = [operationsPlugin];
/** The pane with the operations is open at first where there is room for it. */
const VISIBLE = matchMedia('(min-width: 900px)').matches ? operationsPlugin : undefined;
const FIRST = operations.find((operation) => operation.title === 'The newest requests');

function Playground() {
  const [schema, setSchema] = useState<GraphQLSchema>();
  const [document, setDocument] = useState<DocumentNode>();
  const [files, setFiles] = useState<ReadonlyMap<string, File>>(new Map());
  const [transport, setTransport] = useState<Transport>(
    localStorage.getItem(TRANSPORT) === 'sse' ? 'sse' : 'websocket',
  );
  const [mounted, setMounted] = useState(false);
  useEffect(() => setMounted(true), []);
  const paths = useMemo(() => (schema && document ? uploadPaths(schema, document) : []), [schema, document]);
  const choices = useRef<Choices>(null!);
  choices.current = { transport, schema, files };
  const fetcher = useMemo(() => createFetcher(() => choices.current), []);

  function choose(path: string, file?: File) {
    const next = new Map(files);
    if (file) next.set(path, file);
    else next.delete(path);
    setFiles(next);
  }

  return (
    <div className="playground">
      <header>
        <a className="name" href={at('/')}>
          <img src={at('/icon.svg')} alt="" width="20" height="20" /> Halftone
        </a>
        <h1>Playground</h1>
        {paths.map((path) => (
          <FilePicker key={path} path={path} file={files.get(path)} onChoose={(file) => choose(path, file)} />
        ))}
        <label className="transport">
          Subscriptions over
          <select
            value={transport}
            onChange={(event) => {
              const chosen = event.target.value as Transport;
              localStorage.setItem(TRANSPORT, chosen);
              setTransport(chosen);
            }}
          >
            <option value="websocket">WebSocket</option>
            <option value="sse">Server-Sent Events</option>
          </select>
        </label>
        <KeyField />
        <a href={at('/schema.graphql')}>Schema</a>
      </header>
      <main>
        <PluginContextProvider plugins={PLUGINS} visiblePlugin={VISIBLE}>
          {/* GraphiQL hides a pane for good that is not there when it is first drawn. */}
          {mounted && (
            <GraphiQL
              fetcher={fetcher}
              plugins={PLUGINS}
              visiblePlugin={VISIBLE}
              defaultQuery={FIRST?.query}
              defaultEditorToolsVisibility="variables"
              inputValueDeprecation
              schemaDescription
              onSchemaChange={setSchema}
              onEditQuery={(query) => setDocument(parsed(query))}
              onTabChange={({ tabs, activeTabIndex }) => setDocument(parsed(tabs[activeTabIndex]?.query))}
            >
              <GraphiQL.Logo>
                <span />
              </GraphiQL.Logo>
            </GraphiQL>
          )}
        </PluginContextProvider>
      </main>
    </div>
  );
}

/** The API key, where the server needs one. */
function KeyField() {
  const [key, setKey] = useState(givenKey());
  const use = () => {
    if (key.trim() !== givenKey()) showKey(key.trim());
  };
  return (
    <form
      className="key"
      onSubmit={(event) => {
        event.preventDefault();
        use();
      }}
    >
      <label>
        API key
        <input
          type="password"
          autoComplete="off"
          placeholder="none"
          value={key}
          onChange={(event) => setKey(event.target.value)}
          onBlur={use}
        />
      </label>
    </form>
  );
}

/** The document of a query, as far as it can be read. */
function parsed(query: string | null | undefined): DocumentNode | undefined {
  try {
    return query ? parse(query) : undefined;
  } catch {
    return undefined;
  }
}

function FilePicker({
  path,
  file,
  onChoose,
}: {
  path: string;
  file?: File;
  onChoose: (file?: File) => void;
}) {
  return (
    <label className="file" data-chosen={file !== undefined}>
      <input
        type="file"
        accept=".csv,text/csv,.tsv,.txt"
        onChange={(event) => onChoose(event.target.files?.[0])}
      />
      <code>${path}</code>
      <span>{file ? file.name : 'Choose a file…'}</span>
    </label>
  );
}

// GraphiQL stores its tabs before the query of the open one. A page that is left in between would come back with an empty tab.
if (localStorage.getItem('graphiql:query') === null) localStorage.removeItem('graphiql:tabState');

createRoot(window.document.getElementById('root')!).render(
  <StrictMode>
    <Playground />
  </StrictMode>,
);
