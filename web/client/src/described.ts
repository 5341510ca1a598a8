/** How the generated code describes the contract's files, as `descriptors.ts` writes it. */

/** The base64 of bytes that are given as printable ASCII: what is not, and `~`, as `~` and two hexadecimal digits. */
export function described(text: string): string {
  return btoa(text.replaceAll(/~(..)/gu, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))));
}
