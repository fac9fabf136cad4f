// lib/preact.js gives the types of what it uses; the library itself is not checked.
declare const library: Record<string, any>;
export = library;
