// What things are called and what they mean, for a reader who sees them for the first time.

/** @type {Record<string, string>} */
export const STATUS_WORDS = {
  waiting: "waiting",
  running: "at work",
  done: "done",
  skipped: "done earlier",
  failed: "stopped",
  absent: "not in this line",
};

/** @type {[RegExp, string, string][]} Steps of the corpus: pattern, title, explanation. */
const STEPS = [
  [/^(read|warc|record|fetch|pages?)/, "Readable pages", "Records that hold a web page in a form that can be opened at all."],
  [/url|host|address/, "Address", "Known junk hosts and telling words in the address."],
  [/encod|charset|decode/, "Encoding", "Bytes become letters; pages whose letters cannot be made out are left."],
  [/extract|text/, "Text extraction", "Menus and banners are cut away; is any text left?"],
  [/lang/, "Language", "A classifier says which language it is, and how surely."],
  [/repet/, "Repetition", "The same lines and phrases over and over (Gopher)."],
  [/gopher|quality/, "Prose", "Prose, or menus, lists and word salad? (Gopher)"],
  [/c4/, "C4 rules", "Whole sentences, no filler text, no code (C4)."],
  [/fineweb/, "FineWeb rules", "Lines that end like sentences, few short ones (FineWeb)."],
  [/dedup|minhash|duplic|near/, "Duplicates", "Copies and near-copies of a page already kept (MinHash)."],
  [/pii|personal|mask/, "Personal data", "E-mails, phones, addresses are masked; nothing is dropped."],
  [/length|short|write|final/, "Final check", "The last look before a document is written."],
];

/** @param {string} step @returns {{title: string, says: string}} */
export function stepWords(step) {
  const found = STEPS.find(([pattern]) => pattern.test(step.toLowerCase()));
  return found ? { title: found[1], says: found[2] } : { title: sentence(step), says: "" };
}

/** @type {[RegExp, string][]} Rules: pattern, what the value counts. */
const RULES = [
  [/^read\/http_status/, "the server's answer to the request"],
  [/^url\/blocked/, "the address stands on a block list"],
  [/^url\/banned/, "the address contains a telling word"],
  [/^url\/soft_words/, "telling words in the address"],
  [/^language\//, "how sure the classifier is that it is the wanted language"],
  [/duplicate_paragraph_characters/, "share of letters in repeated paragraphs"],
  [/duplicate_paragraphs/, "share of repeated paragraphs"],
  [/duplicate_line_characters|fineweb\/duplicate_lines/, "share of letters in repeated lines"],
  [/duplicate_lines/, "share of repeated lines"],
  [/top_\d+_gram/, "share of letters in its most frequent phrase"],
  [/duplicate_\d+_grams/, "share of letters in repeated phrases"],
  [/too_(few|many)_words/, "words on the page"],
  [/(short|long)_words/, "mean length of its words, in letters"],
  [/too_many_hashes/, "# signs for each word"],
  [/too_many_ellipses/, "“…” for each word"],
  [/bullet_lines/, "share of lines that begin with a bullet"],
  [/ellipsis_lines/, "share of lines that end in “…”"],
  [/few_alphabetic_words/, "share of words with a letter in them"],
  [/few_stop_words/, "of the commonest words (the, of, and, …)"],
  [/lorem_ipsum/, "“lorem ipsum” is filler text"],
  [/curly_brace/, "a { is a sign of program code"],
  [/too_few_sentences/, "sentences on the page"],
  [/few_punctuated_lines/, "share of lines that end like a sentence"],
  [/short_lines/, "share of very short lines"],
  [/newlines_per_word/, "line breaks for each word"],
  [/empty/, "letters of text on the page"],
  [/near|minhash|similar/, "similarity to a page that was kept"],
  [/exact|duplicate/, "the same text was kept before"],
];

/** What the number of `rule` counts, in words. @param {string} rule */
export function ruleWords(rule) {
  return RULES.find(([pattern]) => pattern.test(rule))?.[1] ?? sentence(rule.split("/").at(-1) ?? rule).toLowerCase();
}

/** "gopher/too_few_words" -> "too few words". @param {string} rule */
export function ruleTitle(rule) {
  return (rule.split("/").at(-1) ?? rule).replaceAll("_", " ");
}

/** @type {Record<string, {title: string, says: string, form: "percent" | "bits" | "count", good: "high" | "low"}>} */
export const SCORES = {
  facts_accuracy: { title: "Facts known", says: "Questions about townspeople it met only in web pages, never in a conversation.", form: "percent", good: "high" },
  facts_accuracy_new_wording: { title: "… asked in new words", says: "The same kind of question, in wordings it has never seen.", form: "percent", good: "high" },
  unknown_refused: { title: "Says “I don't know”", says: "Questions about things that stand on no page: the only right answer is that it does not know.", form: "percent", good: "high" },
  sums_correct: { title: "Sums", says: "Sums are worked out with the calculator: the model must write the right expression.", form: "percent", good: "high" },
  junk_kept: { title: "Junk that came through", says: "Share of the kept documents that are spam, nonsense or menus by the web's own truth file.", form: "percent", good: "low" },
  good_lost: { title: "Good pages lost", says: "Share of good pages that the filters dropped by mistake.", form: "percent", good: "low" },
  duplicates_removed: { title: "Copies removed", says: "Share of surplus copies, exact and nearly so, that are gone.", form: "percent", good: "high" },
  false_claims_believed: { title: "False claims believed", says: "The spam pages tell lies about the town. How many does the model repeat?", form: "percent", good: "low" },
  val_bpb: { title: "Bits per byte", says: "How many bits the model needs for a byte of text it has never seen. Raw text needs 8; lower is better.", form: "bits", good: "low" },
};

/** @param {string} name */
export function sentence(name) {
  const words = name.replaceAll(/[_/]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
