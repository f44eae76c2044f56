/** Asks in the page before something that cannot be undone. */

import { type ReactNode, useEffect, useId, useRef } from 'react';

interface Props {
  title: string;
  /** What happens, in a sentence or two. */
  children: ReactNode;
  /** The name of the button that does it. */
  action: string;
  isBusy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

export function Confirm({ title, children, action, isBusy = false, onConfirm, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="confirm" aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      <div>{children}</div>
      <div className="actions">
        <button type="button" className="danger" disabled={isBusy} onClick={onConfirm}>
          {action}
        </button>
        <button type="button" autoFocus onClick={() => dialog.current?.close()}>
          Keep it
        </button>
      </div>
    </dialog>
  );
}
