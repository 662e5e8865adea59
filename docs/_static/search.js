/* The book's search. The page loads the index as a script (`BOOK`), so nothing has to be fetched and
   the search works from file:// as well. `_ext/book_search.py` writes the index and says what is in it.

   The way through the file: the words of a text; `prepare`, which counts them; `find`, which ranks;
   `sentence`, the line that has the words; and what the page does with them. The tests load this
   file in node, where there is no page. */

"use strict";

const bookSearch = (() => {
  const COMMON = new Set(
    ("a an and are as at be been but by can do does doesn for from has have how i if in into is isn it " +
      "its me my not of on or s so t than that the then there this to was what when where which while " +
      "who why will with you your").split(" "),
  );
  /* How much more a word counts in a title, in the words of a section, in the text, in code. */
  const WEIGHTS = { title: 8, words: 8, text: 1, code: 0.5 };
  const SATURATION = 3;
  const KINDS = { page: 1.25, section: 1, name: 0.8, rule: 0.7, term: 0.7 };

  /* An English word without its ending: `closes`, `closed` and `closing` are one word. */
  function stem(word) {
    if (!/^[a-z]{4,}$/.test(word)) return word;
    let root = word.replace(/(?:ing|ed|ly)$/, "");
    if (!/[aeiouy]/.test(root) || root.length < 3) root = word;
    if (root !== word) root = root.replace(/([bdgmnprt])\1$/, "$1");
    else if (!/(?:ss|us|is)$/.test(root)) root = root.replace(/(?:(?<=s|x|z|ch|sh)es|s)$/, "");
    return root.replace(/ie?$/, "y").replace(/(?<=..)e$/, "");
  }

  /* The words of a text: as they stand, and what they are found by. A name such as `driver_async` or
     `free.refused` is one word, and its parts are words as well. */
  const known = new Map();
  function words(text) {
    const found = text.match(/[\p{L}\p{N}]+(?:[._-]+[\p{L}\p{N}]+)*_?/gu) ?? [];
    for (const raw of found) if (!known.has(raw)) known.set(raw, word(raw));
    return found.map((raw) => known.get(raw));
  }

  function word(raw) {
    const parts = raw.split(/[._-]+|(?<=[a-z])(?=[A-Z])/).map((part) => stem(part.toLowerCase()));
    return { raw, term: stem(raw.toLowerCase()), parts: parts.length > 1 ? parts : [] };
  }

  function fields([, , , title, listed, text, code]) {
    return { title, words: listed, text, code };
  }

  /* Count the words of each entry. */
  function prepare(book) {
    const terms = new Map(); /* of each term: in which entries it occurs, and how much it counts there */
    const shown = new Map(); /* how a term is written where it stands first */
    const phrases = [];
    const lengths = book.entries.map((entry, number) => {
      let length = 0;
      const count = (term, weight) => {
        if (!terms.has(term)) terms.set(term, new Map());
        const found = terms.get(term);
        found.set(number, (found.get(number) ?? 0) + weight);
      };
      const headings = [];
      for (const [field, text] of Object.entries(fields(entry))) {
        const found = words(text);
        found.forEach(({ raw, term, parts }, at) => {
          if (!shown.has(term)) shown.set(term, raw.toLowerCase());
          [term, ...parts].forEach((one) => count(one, WEIGHTS[field]));
          /* `time out` is found by `timeout` */
          if (field === "title" && at > 0) count(found[at - 1].term + term, WEIGHTS.title);
        });
        if (field === "text") length = found.length;
        if (field === "title" || field === "words") headings.push(...found.map((word) => word.term), "·");
      }
      phrases.push(` ${headings.join(" ")} `);
      return length;
    });
    const average = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
    return { book, terms, shown, phrases, lengths, average };
  }

  /* Whether two words differ in one letter: one more, another one, or two that changed places. */
  function near(a, b) {
    if (Math.abs(a.length - b.length) > 1 || a === b) return false;
    let at = 0;
    while (at < a.length && a[at] === b[at]) at++;
    const [x, y] = [a.slice(at), b.slice(at)];
    if (x.slice(1) === y.slice(1) || x.slice(1) === y || x === y.slice(1)) return true;
    return x.length > 1 && x[0] === y[1] && x[1] === y[0] && x.slice(2) === y.slice(2);
  }

  /* The terms that a word of the query means: itself; else longer words; else a slip of the pen. */
  function meant(index, { term, parts }) {
    if (index.terms.has(term)) return { terms: [term] };
    if (parts.length && parts.every((part) => index.terms.has(part))) return { all: parts };
    const every = [...index.terms.keys()];
    for (const like of [
      (one) => term.length > 1 && one.startsWith(term),
      (one) => term.length > 3 && one.includes(term),
      (one) => term.length > 4 && near(one, term),
    ]) {
      const terms = every.filter(like);
      if (terms.length) return { terms, instead: like(term) ? undefined : index.shown.get(terms[0]) };
    }
    return { terms: [] };
  }

  /* The words of a query, each as the terms that it may be. */
  function asked(index, query) {
    const all = words(query);
    const telling = all.filter(({ term, raw }) => !COMMON.has(raw.toLowerCase()) && term);
    const groups = [];
    const instead = [];
    for (const word of telling.length ? telling : all) {
      const found = meant(index, word);
      if (found.all) groups.push(...found.all.map((part) => [part]));
      else groups.push(found.terms);
      if (found.instead) instead.push(found.instead);
    }
    return { groups, instead, phrase: ` ${all.map((word) => word.term).join(" ")} ` };
  }

  /* A page for each result, best first, with its best entries. */
  function find(index, query) {
    const { groups, instead, phrase } = asked(index, query);
    const scores = new Map();
    const size = index.book.entries.length;
    let whole = 0;
    for (const terms of groups) {
      const best = new Map();
      let most = 0;
      for (const term of terms) {
        const found = index.terms.get(term);
        const rare = Math.log(1 + size / found.size);
        most = Math.max(most, rare);
        for (const [number, weight] of found) {
          const long = 0.6 + 0.4 * (index.lengths[number] / index.average);
          const score = (rare * weight) / (weight + SATURATION * long);
          if (score > (best.get(number)?.score ?? 0)) best.set(number, { score, rare });
        }
      }
      whole += most || Math.log(1 + size);
      for (const [number, { score, rare }] of best) {
        const sum = scores.get(number) ?? { score: 0, has: 0 };
        scores.set(number, { score: sum.score + score, has: sum.has + rare });
      }
    }
    const name = query.trim().replace(/\(\)$/, "");
    const pages = new Map();
    const ranked = [...scores].map(([number, { score, has }]) => {
      const entry = index.book.entries[number];
      const [, , kind, title] = entry;
      let rank = score * (has / whole) ** 2 * KINDS[kind];
      const heading = index.phrases[number];
      if (phrase.trim() && heading.includes(phrase)) rank *= 1.4;
      if (groups.every((terms) => terms.some((term) => heading.includes(` ${term} `)))) rank *= 1.4;
      /* An exact name stands first, if it is written as names are: not `key`, which is a word too. */
      const exact =
        /[._\d]|[a-z][A-Z]/.test(name) && (title === name || title.endsWith(`.${name}`));
      return { entry, rank, exact };
    });
    const least = 0.1 * Math.max(0, ...ranked.map(({ rank }) => rank));
    ranked.sort((a, b) => b.exact - a.exact || b.rank - a.rank);
    for (const { entry, rank, exact } of ranked) {
      const found = pages.get(entry[0]) ?? [];
      if (!exact && rank < least) continue;
      if (!found.length || (found.length < 3 && rank > found[0].rank / 2)) found.push({ entry, rank });
      pages.set(entry[0], found);
    }
    const terms = new Set(groups.flat());
    const results = [...pages].map(([page, found]) => ({
      page: index.book.pages[page][1],
      entries: found.map(({ entry }) => ({
        title: entry[3],
        kind: entry[2],
        address: index.book.pages[page][0] + (entry[1] ? `#${entry[1]}` : ""),
        /* What a function does stands first; a later line may be of an older release. */
        line: entry[2] === "name" ? entry[5].split("\n")[0] : sentence(entry, terms),
      })),
    }));
    return { results, terms, instead };
  }

  /* Whether a word of a text is one that was searched for; a name is if each of its parts is. */
  function hit({ term, parts }, terms) {
    return terms.has(term) || (parts.length > 0 && parts.every((part) => terms.has(part)));
  }

  /* The line of an entry that has most of the words: of its text, or else of what it is found by. */
  function sentence([, , , , listed, text, code], terms) {
    const lines = text.split("\n");
    const count = (line) => {
      const found = words(line).filter((word) => hit(word, terms));
      return new Set(found.map((word) => word.term)).size;
    };
    let [best, most] = [lines[0], 0];
    for (const line of lines) if (count(line) > most) [best, most] = [line, count(line)];
    /* Names of code are shown only where there is no sentence. */
    return most ? best : (count(listed) ? listed : best || code);
  }

  /* The line in pieces, those marked that were searched for, and not longer than about 200 signs. */
  function pieces(line, terms) {
    const found = [];
    let at = 0;
    for (const word of words(line)) {
      const start = line.indexOf(word.raw, at);
      if (!hit(word, terms)) continue;
      found.push({ text: line.slice(at, start) }, { text: word.raw, marked: true });
      at = start + word.raw.length;
    }
    found.push({ text: line.slice(at) });
    const first = found[0].text;
    if (first.length > 90) found[0].text = `… ${first.slice(first.indexOf(" ", first.length - 70) + 1)}`;
    let left = 220;
    return found.filter((piece) => {
      if (left <= 0) return false;
      if (piece.text.length > left) piece.text = `${piece.text.slice(0, left)} …`;
      left -= piece.text.length;
      return piece.text;
    });
  }

  return { prepare, find, pieces };
})();

if (typeof module !== "undefined") module.exports = bookSearch;
