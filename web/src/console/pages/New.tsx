/** After the drop: what was understood, the settings, and the start. */

import { useEffect, useState } from 'react';
import { useMutation } from 'urql';
import { CheckCsvDocument, type ReportFragment, UploadCsvDocument } from '../../gql/graphql';
import { sentence } from '../api';
import { DropZone } from '../DropZone';
import { useChosenFile } from '../file';
import { bytes, many } from '../format';
import { Problems } from '../Problems';
import { navigate } from '../router';
import { SettingsForm } from '../SettingsForm';
import { type Choice, DEFAULTS, input } from '../settings';
import { Fault, Figure, Skeleton, products } from '../ui';

const DELIMITERS: Record<string, string> = {
  ',': 'comma',
  ';': 'semicolon',
  '\t': 'tab',
  '|': 'vertical bar',
};

export function New() {
  const file = useChosenFile();
  if (!file) {
    return (
      <>
        <h1>Check a CSV</h1>
        <DropZone />
      </>
    );
  }
  // Another file is another page: nothing of the first one may stay.
  return <Checked key={`${file.name} ${file.size} ${file.lastModified}`} file={file} />;
}

function Checked({ file }: { file: File }) {
  const [checked, check] = useMutation(CheckCsvDocument);
  const [uploaded, upload] = useMutation(UploadCsvDocument);
  const [choice, setChoice] = useState<Choice>(DEFAULTS);
  // The same key for each attempt: pressing the button again after a lost answer cannot start it twice.
  const [attempt, setAttempt] = useState({ choice, key: crypto.randomUUID() });

  useEffect(() => {
    void check({ file });
  }, [file]);

  const report = uploaded.data?.uploadCsv.csv ?? checked.data?.checkCsv.csv;
  const refusals = uploaded.data?.uploadCsv.userErrors ?? checked.data?.checkCsv.userErrors ?? [];

  async function start() {
    let { key } = attempt;
    if (attempt.choice !== choice) {
      key = crypto.randomUUID();
      setAttempt({ choice, key });
    }
    const { data } = await upload({ input: input(file, choice, key) });
    const request = data?.uploadCsv.processingRequest;
    if (request) navigate(`/requests/${request.id}`);
  }

  const failure = uploaded.error ?? checked.error;
  return (
    <>
      <h1>{file.name}</h1>
      {failure && (
        <Fault
          title={sentence(failure)}
          action={
            <button type="button" onClick={() => (uploaded.error ? void start() : void check({ file }))}>
              Try again
            </button>
          }
        />
      )}
      {!report && !failure && <Skeleton rows={2} height={72} />}
      {refusals.map((refusal) => (
        <Fault key={refusal.message} title={refusal.message} />
      ))}
      {report && <Understood report={report} />}
      {report && report.acceptedRowCount > 0 && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void start();
          }}
        >
          <SettingsForm choice={choice} onChange={setChoice} />
          <div className="actions">
            <button type="submit" className="primary" disabled={uploaded.fetching}>
              {uploaded.fetching
                ? 'Starting…'
                : `Compress the images of ${products(report.acceptedRowCount)}`}
            </button>
            <button type="button" onClick={() => navigate('/')}>
              Leave it
            </button>
          </div>
        </form>
      )}
      {report && report.acceptedRowCount === 0 && (
        <>
          <p>No row of this file can be processed. Mend it and drop it here again.</p>
          <DropZone />
        </>
      )}
    </>
  );
}

function Understood({ report }: { report: ReportFragment }) {
  return (
    <section>
      <h2>What was understood</h2>
      <dl className="figures">
        <Figure label="Products">{many(report.acceptedRowCount, 'row')}</Figure>
        {report.rejectedRowCount > 0 && (
          <Figure label="Left out" note="each with its reason below">
            {many(report.rejectedRowCount, 'row')}
          </Figure>
        )}
        <Figure label="Problems">{many(report.issueCount, 'problem')}</Figure>
        <Figure
          label="File"
          note={`${report.encoding}, separated by ${DELIMITERS[report.delimiter] ?? report.delimiter}`}
        >
          {bytes(report.byteSize)}
        </Figure>
      </dl>
      {report.issueCount > 0 && <Problems report={report} />}
    </section>
  );
}
