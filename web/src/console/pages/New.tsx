/** After the drop: what was understood, the settings, and the start. */

import { useEffect, useState } from 'react';
import { useMutation } from 'urql';
import {
  CheckCsvDocument,
  type CheckCsvMutation,
  type CsvColumnsInput,
  type ReportFragment,
  UploadCsvDocument,
} from '../../gql/graphql';
import { sentence } from '../api';
import { Columns } from '../Columns';
import { DropZone } from '../DropZone';
import { Estimate, useEstimate } from '../Estimate';
import { chosenSettings, useChosenFile } from '../file';
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
  const [choice, setChoice] = useState<Choice>({ ...DEFAULTS, ...chosenSettings() });
  const [columns, setColumns] = useState<CsvColumnsInput>();
  // The same key for each attempt: pressing the button again after a lost answer cannot start it twice.
  const [attempt, setAttempt] = useState({ choice, columns, key: crypto.randomUUID() });
  const estimate = useEstimate(file, choice, columns);
  /** The last answer, which stays while other columns are checked. */
  const [known, setKnown] = useState<CheckCsvMutation['checkCsv']>();

  async function read() {
    const { data } = await check({ input: { file, columns } });
    if (data) setKnown(data.checkCsv);
  }

  useEffect(() => {
    void read();
  }, [file, columns]);

  const report = uploaded.data?.uploadCsv.csv ?? known?.csv;
  const refusals = uploaded.data?.uploadCsv.userErrors ?? known?.userErrors ?? [];

  async function start() {
    let { key } = attempt;
    if (attempt.choice !== choice || attempt.columns !== columns) {
      key = crypto.randomUUID();
      setAttempt({ choice, columns, key });
    }
    const { data } = await upload({ input: { ...input(file, choice, key), columns } });
    const request = data?.uploadCsv.processingRequest;
    if (request) navigate(`/requests/${request.id}`);
  }

  const failure = uploaded.error ?? checked.error;
  return (
    <>
      <h1>{file.name}</h1>
      {failure && (
        <Fault title={sentence(failure)} retry={() => (uploaded.error ? void start() : void read())} />
      )}
      {!report && !failure && <Skeleton rows={2} height={72} />}
      {refusals.map((refusal) => (
        <Fault key={refusal.message} title={refusal.message} />
      ))}
      {report && <Understood report={report} />}
      {report && report.columns.length > 0 && (
        <Columns columns={report.columns} isBusy={checked.fetching} onChoose={setColumns} />
      )}
      {report && report.acceptedRowCount > 0 && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void start();
          }}
        >
          <SettingsForm choice={choice} onChange={setChoice} />
          {estimate.settings !== undefined && <Estimate {...estimate} />}
          <div className="actions">
            <button type="submit" className="primary" disabled={uploaded.fetching || checked.fetching}>
              {uploaded.fetching
                ? 'Starting…'
                : `Compress the images of ${products(report.acceptedRowCount)}`}
            </button>
            <button
              type="button"
              disabled={estimate.isRunning || uploaded.fetching || checked.fetching}
              onClick={estimate.begin}
            >
              {estimate.isRunning ? 'Estimating…' : estimate.figures ? 'Estimate again' : 'Estimate first'}
            </button>
            <button type="button" onClick={() => navigate('/')}>
              Cancel
            </button>
          </div>
        </form>
      )}
      {report && report.acceptedRowCount === 0 && (
        <>
          <p>No row of this file can be processed. Correct it and drop it here again.</p>
          <DropZone />
        </>
      )}
    </>
  );
}

function Understood({ report }: { report: ReportFragment }) {
  return (
    <section>
      <h2>How the file was read</h2>
      <dl className="figures">
        <Figure label="Products">{many(report.acceptedRowCount, 'row')}</Figure>
        <Figure label="Images">
          {many(
            report.columns.reduce((sum, column) => sum + column.imageCount, 0),
            'URL',
          )}
        </Figure>
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
