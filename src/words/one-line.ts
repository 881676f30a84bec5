/** The text with each line break, and the blanks around it, as "; ", for logs, events and reports; none at its ends. */
export function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*[\r\n]+\s*/g, "; ");
}
