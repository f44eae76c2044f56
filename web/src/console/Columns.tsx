/** What each column of a CSV was taken for, and the choice to take it for something else. */

import type { CsvColumnRole, CsvColumnsInput, ReportFragment } from '../gql/graphql';
import { count, many } from './format';

type Column = ReportFragment['columns'][number];

const ROLES: Record<CsvColumnRole, string> = {
  PRODUCT_NAME: 'Product name',
  IMAGE_URLS: 'Image URLs',
  SERIAL_NUMBER: 'Serial number',
  CARRIED_THROUGH: 'Kept as it is',
  IGNORED: 'Left out',
};

/** The roles that can be chosen; the API says who else has them. */
const CHOICES: CsvColumnRole[] = ['PRODUCT_NAME', 'IMAGE_URLS', 'SERIAL_NUMBER', 'CARRIED_THROUGH'];

interface Props {
  columns: Column[];
  /** Whether a new choice is being checked. */
  isBusy: boolean;
  onChoose: (columns: CsvColumnsInput) => void;
}

export function Columns({ columns, isBusy, onChoose }: Props) {
  const leftOut = columns.filter((column) => column.role === 'IGNORED');
  const guessed = columns.filter((column) => column.matchedBy === 'CONTENT');

  function choose(index: number, role: CsvColumnRole) {
    const roles = columns.map((column, at) => {
      if (at === index) return role;
      // A product has one name and one serial number.
      const isReplaced = column.role === role && role !== 'IMAGE_URLS';
      return isReplaced ? 'CARRIED_THROUGH' : column.role;
    });
    const named = (wanted: CsvColumnRole) =>
      columns.filter((_, at) => roles[at] === wanted).map((column) => column.header);
    onChoose({
      productName: named('PRODUCT_NAME')[0],
      imageUrls: named('IMAGE_URLS'),
      serialNumber: named('SERIAL_NUMBER')[0],
    });
  }

  return (
    <section aria-label="Columns">
      <div className="heading">
        <h3>Columns</h3>
        {isBusy && (
          <span className="quiet" role="status">
            Checking again…
          </span>
        )}
      </div>
      <Warning columns={guessed}>
        {guessed.length === 1 ? 'was' : 'were'} chosen by content, not by name. Check that this is right.
      </Warning>
      <Warning columns={leftOut}>
        {leftOut.length === 1 ? 'is' : 'are'} left out of the output: a column without a name, or one added by
        an earlier result.
      </Warning>
      <div className="scroll" tabIndex={0} role="region" aria-label="Columns of the file">
        <table className="columns-table">
          <thead>
            <tr>
              <th scope="col">Column</th>
              <th scope="col">Interpreted as</th>
              <th scope="col">Why</th>
              <th scope="col">Images</th>
            </tr>
          </thead>
          <tbody>
            {columns.map((column, index) => (
              <tr key={`${column.header} ${index}`} data-role={column.role}>
                <td>
                  <b>{column.header || '(no name)'}</b>
                </td>
                <td>
                  <select
                    value={column.role}
                    disabled={column.header === ''}
                    aria-label={`What ${column.header || `column ${index + 1}`} is`}
                    onChange={(event) => choose(index, event.target.value as CsvColumnRole)}
                  >
                    {column.role === 'IGNORED' && <option value="IGNORED">{ROLES.IGNORED}</option>}
                    {CHOICES.map((role) => (
                      <option key={role} value={role}>
                        {ROLES[role]}
                      </option>
                    ))}
                  </select>
                </td>
                <td className="quiet">{why(column)}</td>
                <td>{column.imageCount > 0 ? count(column.imageCount) : ''}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function why({ matchedBy }: Column): string {
  if (matchedBy === 'CALLER') return 'You chose it';
  if (matchedBy === 'NAME') return 'By its name';
  return matchedBy === 'CONTENT' ? 'By its content' : '';
}

function Warning({ columns, children }: { columns: Column[]; children: React.ReactNode }) {
  if (columns.length === 0) return null;
  const names = columns.map((column) => (column.header ? `“${column.header}”` : 'A column without a name'));
  const shown = names.slice(0, 3).join(', ');
  const more = names.length > 3 ? ` and ${many(names.length - 3, 'other')}` : '';
  return (
    <div className="notice" data-kind="wait">
      <p>
        <strong>
          {shown}
          {more}
        </strong>{' '}
        {children}
      </p>
    </div>
  );
}
