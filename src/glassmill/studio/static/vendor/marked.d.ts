// What lib/markdown.js uses of marked.js. The library itself is not checked.
export class Marked {
  constructor(...extensions: any[]);
  parse(text: string, options?: Record<string, unknown>): any;
}
