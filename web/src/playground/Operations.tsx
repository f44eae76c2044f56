/** The pane with the operations that are ready to run. */

import type { GraphiQLPlugin } from '@graphiql/react';
import { useEditorContext } from '@graphiql/react';
import { flushSync } from 'react-dom';
import { NEWEST, type Operation, operations } from './operations';
import { at } from '../base';
import { keyHeaders } from '../key';

/** The id of the newest request, so that an operation runs as it stands. */
async function newestRequest(): Promise<string> {
  const query = '{ processingRequests(first: 1) { edges { node { id } } } }';
  const response = await fetch(at('/graphql'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...keyHeaders() },
    body: JSON.stringify({ query }),
  });
  const answer = await response.json();
  return answer.data?.processingRequests.edges[0]?.node.id ?? '';
}

async function variablesOf(operation: Operation): Promise<string> {
  if (!operation.variables) return '';
  let text = JSON.stringify(operation.variables, null, 2);
  if (text.includes(`"${NEWEST}"`)) {
    const id = await newestRequest().catch(() => '');
    text = text.replace(`"${NEWEST}"`, JSON.stringify(id));
  }
  return text;
}

function OperationsPane() {
  const editor = useEditorContext({ nonNull: true });

  // The editors are there a moment after this pane.
  const ready = editor.queryEditor !== null && editor.variableEditor !== null;

  async function open(operation: Operation) {
    const variables = await variablesOf(operation);
    const current = editor.queryEditor?.getValue() ?? '';
    const untouched = current.trim() === '' || operations.some((each) => each.query === current);
    // What somebody wrote stays: the operation gets a tab of its own.
    if (!untouched) flushSync(() => editor.addTab());
    editor.queryEditor?.setValue(operation.query);
    editor.variableEditor?.setValue(variables);
    editor.responseEditor?.setValue('');
  }

  return (
    <section className="operations" aria-label="Operations">
      <h2>Operations</h2>
      <p>From the upload to the result. Ids are those of the newest request.</p>
      <ol>
        {operations.map((operation) => (
          <li key={operation.title}>
            <button type="button" disabled={!ready} onClick={() => void open(operation)}>
              <strong>{operation.title}</strong>
              <span>{operation.about}</span>
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M9 6h11M9 12h11M9 18h11M4 4.5l1.5 1.5L4 7.5M4 10.5 5.5 12 4 13.5M4 16.5 5.5 18 4 19.5" />
    </svg>
  );
}

export const operationsPlugin: GraphiQLPlugin = { title: 'Operations', icon: Icon, content: OperationsPane };
