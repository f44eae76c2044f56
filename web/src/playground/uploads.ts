/** Files in variables: where an operation takes them, and the request that carries them. */

import {
  type DocumentNode,
  type GraphQLInputType,
  type GraphQLSchema,
  Kind,
  getNamedType,
  isInputObjectType,
  typeFromAST,
} from 'graphql';

/** Files by their place in the variables, such as `file` or `input.file`. */
export type Files = ReadonlyMap<string, File>;

/** The places in the variables of this document that take a file. */
export function uploadPaths(schema: GraphQLSchema, document: DocumentNode): string[] {
  const paths: string[] = [];
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    for (const variable of definition.variableDefinitions ?? []) {
      const type = typeFromAST(schema, variable.type as never) as GraphQLInputType | undefined;
      if (!type) continue;
      const name = variable.variable.name.value;
      const named = getNamedType(type);
      if (named.name === 'Upload') paths.push(name);
      if (!isInputObjectType(named)) continue;
      for (const field of Object.values(named.getFields())) {
        if (getNamedType(field.type).name === 'Upload') paths.push(`${name}.${field.name}`);
      }
    }
  }
  return [...new Set(paths)];
}

/** A copy of `variables` with `null` at `path`, where the file goes (GraphQL multipart request). */
function withHole(variables: Record<string, unknown>, path: string): Record<string, unknown> {
  const [first = '', ...rest] = path.split('.');
  if (rest.length === 0) return { ...variables, [first]: null };
  const inner = variables[first];
  const object = typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {};
  return { ...variables, [first]: withHole(object, rest.join('.')) };
}

/** The body of a multipart request: the operation, the map, then the files. */
export function multipart(
  operation: { query: string; variables: Record<string, unknown>; operationName?: string },
  files: Files,
): FormData {
  let { variables } = operation;
  const body = new FormData();
  const map: Record<string, string[]> = {};
  for (const path of files.keys()) {
    variables = withHole(variables, path);
    map[String(Object.keys(map).length)] = [`variables.${path}`];
  }
  body.set('operations', JSON.stringify({ ...operation, variables }));
  body.set('map', JSON.stringify(map));
  [...files.values()].forEach((file, index) => body.set(String(index), file));
  return body;
}
