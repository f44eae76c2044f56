/** The problems of a CSV, grouped by what is to be done about them; the worst first. */

import type { CsvIssueCode, ReportFragment } from '../gql/graphql';
import { count, many } from './format';
import { Empty } from './ui';

type Issue = ReportFragment['issues']['edges'][number]['node'];

const LINES_SHOWN = 12;

export function Problems({ report }: { report: ReportFragment }) {
  const issues = report.issues.edges.map((edge) => edge.node);
  if (issues.length === 0) return <Empty title="No problems were found in this file" />;
  const groups = new Map<CsvIssueCode, Issue[]>();
  for (const issue of issues) groups.set(issue.code, [...(groups.get(issue.code) ?? []), issue]);
  const sorted = [...groups.values()].sort(
    (a, b) => Number(b[0]?.severity === 'ERROR') - Number(a[0]?.severity === 'ERROR') || b.length - a.length,
  );
  return (
    <div className="problems">
      {sorted.map((group) => (
        <Group key={group[0]?.code} issues={group} />
      ))}
      {report.issueCount > issues.length && (
        <p className="quiet">
          Showing the first {count(issues.length)} of {many(report.issueCount, 'problem')}.
        </p>
      )}
    </div>
  );
}

function Group({ issues }: { issues: Issue[] }) {
  const first = issues[0];
  if (!first) return null;
  const isError = first.severity === 'ERROR';
  /** Whether the lines say more than the summary does. */
  const differ = issues.some((issue) => issue.message !== first.message);
  return (
    <details open={isError} data-severity={first.severity}>
      <summary>
        <span className="tag" data-severity={first.severity}>
          {isError ? 'Error' : 'Warning'}
        </span>
        <span>{first.message}</span>
        <b>{count(issues.length)}</b>
      </summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Line</th>
            <th scope="col">Column</th>
            <th scope="col">Value</th>
            {differ && <th scope="col">What to do</th>}
          </tr>
        </thead>
        <tbody>
          {issues.slice(0, LINES_SHOWN).map((issue, index) => (
            <tr key={index}>
              <td>{count(issue.line)}</td>
              <td>{issue.column ?? ''}</td>
              <td>{issue.value && <code>{issue.value}</code>}</td>
              {differ && <td>{issue.message}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {issues.length > LINES_SHOWN && (
        <p className="quiet">
          Also in {issues.length - LINES_SHOWN === 1 ? 'line' : 'lines'}{' '}
          {issues
            .slice(LINES_SHOWN)
            .map((issue) => count(issue.line))
            .join(', ')}
          .
        </p>
      )}
    </details>
  );
}
