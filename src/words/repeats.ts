/** True when the text says all of the message, or all but its introduction ("undo of x failed: "). */
export function repeats(text: string, message: string): boolean {
  const introductionEnd = message.indexOf(": ") + 1;
  return text.includes(message) || (introductionEnd > 0 && text.includes(message.slice(introductionEnd).trim()));
}
