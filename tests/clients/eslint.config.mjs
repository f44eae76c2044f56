/** graphql-eslint: its recommended rules and Relay's for the schema, its recommended rules for the console's documents. */

import { fileURLToPath } from 'node:url';
import plugin from '@graphql-eslint/eslint-plugin';

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const graphQLConfig = { schema: at('schema.graphql'), documents: at('web/src/console/*.graphql') };
const rules = (name) => plugin.configs[`flat/${name}`].rules;
const of = (files, ...sets) => ({
  files,
  languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig } },
  plugins: { '@graphql-eslint': plugin },
  rules: Object.assign({}, ...sets),
});

const ours = {
  // Values that belong to one object, such as its progress, have no identity of their own.
  '@graphql-eslint/strict-id-in-types': 'off',
  // `Host.host` is the word for it.
  '@graphql-eslint/no-typename-prefix': 'off',
  // The library makes the connections.
  '@graphql-eslint/require-description': [
    'error',
    { types: true, rootField: true, ignoredSelectors: ['ObjectTypeDefinition[name.value=/Connection$/]'] },
  ],
  // Short lists that are always whole are no connections, and what they hold need not be a Node.
  '@graphql-eslint/relay-edge-types': [
    'error',
    { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
  ],
  // Some lists only go forwards.
  '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
};

export default [
  of(['schema.graphql'], rules('schema-recommended'), rules('schema-relay'), ours),
  of(['web/src/console/*.graphql'], rules('operations-recommended')),
];
