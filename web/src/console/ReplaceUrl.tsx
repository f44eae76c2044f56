/** Another address for an image that could not be had from the one in the sheet. */

import { useId, useState } from 'react';
import { useMutation } from 'urql';
import { ReplaceUrlDocument } from '../gql/graphql';
import { sentence } from './api';

interface Props {
  imageId: string;
  inputUrl: string;
  /** Called when the image is being done again. */
  onReplaced: () => void;
}

export function ReplaceUrl({ imageId, inputUrl, onReplaced }: Props) {
  const [url, setUrl] = useState(inputUrl);
  const [{ data, error, fetching }, replace] = useMutation(ReplaceUrlDocument);
  const id = useId();
  const refusal = error ? sentence(error) : data?.replaceImageUrl.userErrors[0]?.message;
  return (
    <form
      className="replace"
      onSubmit={(event) => {
        event.preventDefault();
        void replace({ input: { id: imageId, url } }).then(({ data }) => {
          if (data?.replaceImageUrl.userErrors.length === 0) onReplaced();
        });
      }}
    >
      <label htmlFor={id}>Address of the image</label>
      <input
        id={id}
        type="url"
        required
        value={url}
        aria-invalid={refusal !== undefined}
        aria-describedby={`${id}-refusal`}
        onChange={(event) => setUrl(event.target.value)}
      />
      <button type="submit" disabled={fetching || url === inputUrl}>
        Use this address
      </button>
      <p id={`${id}-refusal`} role="alert">
        {refusal}
      </p>
    </form>
  );
}
