export async function upload(url, file, compression = { quality: 50 }) {
  const query = `mutation ($file: Upload!, $compression: CompressionInput) {
    uploadCsv(input: { file: $file, compression: $compression }) {
      processingRequest { id }
      userErrors { code message field }
    }
  }`;
  const body = new FormData();
  body.set('operations', JSON.stringify({ query, variables: { file: null, compression } }));
  body.set('map', JSON.stringify({ 0: ['variables.file'] }));
  body.set('0', file);
  const response = await fetch(url, { method: 'POST', headers: { 'GraphQL-Preflight': '1' }, body });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  const [refused] = data.uploadCsv.userErrors;
  if (refused) throw new Error(refused.message);
  return data.uploadCsv.processingRequest.id;
}
