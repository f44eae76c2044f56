import type { CodegenConfig } from '@graphql-codegen/cli';

/** The console's documents, typed by the contract. */
const config: CodegenConfig = {
  schema: '../schema.graphql',
  documents: 'src/console/**/*.graphql',
  generates: {
    'src/gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        strictScalars: true,
        scalars: {
          DateTime: 'string',
          URL: 'string',
          UnsignedInt53: 'number',
          Upload: 'File',
        },
      },
    },
  },
};

export default config;
