import { withoutControls } from '../text/plain-text.ts'

/** Columns are as wide as their widest cell; numbers are at the right. What a peer has said cannot move the cursor. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [
    head,
    ...rows.map((cells) => cells.map((cell) => (typeof cell === 'string' ? withoutControls(cell) : cell))),
  ]
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => String(cells[column]).length)))
  const isNumber = head.map((_, column) => rows.length > 0 && rows.every((cells) => typeof cells[column] === 'number'))
  return lines
    .map((cells) =>
      cells
        .map((cell, column) =>
          isNumber[column] ? String(cell).padStart(widths[column]) : String(cell).padEnd(widths[column]),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
