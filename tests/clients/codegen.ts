import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  schema: '../../schema.graphql',
  generates: {
    'generated/schema.ts': {
      plugins: ['typescript'],
      // Fails for a scalar that is not listed here.
      config: {
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
