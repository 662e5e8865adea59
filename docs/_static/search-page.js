/* The search page: shows what `search.js` finds for the words in the field, while they are typed. */

"use strict";

(() => {
  const field = document.getElementById("book-query");
  const status = document.getElementById("search-status");
  const list = document.getElementById("search-results");
  const ways = document.getElementById("search-ways");
  const index = bookSearch.prepare(BOOK);
  const KINDS = { name: "reference", rule: "rule", term: "glossary" };

  function element(name, text, css) {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (css) made.className = css;
    return made;
  }

  function linked(entry) {
    const link = element(entry.kind === "name" || entry.kind === "rule" ? "code" : "span", entry.title);
    const anchor = element("a");
    anchor.href = entry.address;
    anchor.append(link);
    return anchor;
  }

  function shown({ page, entries }, terms) {
    const item = element("li");
    for (const [number, entry] of entries.entries()) {
      const title = element(number ? "p" : "h2", "", number ? "search-further" : "");
      title.append(linked(entry));
      if (!number && (entry.title !== page || KINDS[entry.kind])) {
        title.append(element("small", [KINDS[entry.kind], page].filter(Boolean).join(" · ")));
      }
      const line = element("p", "", "search-line");
      for (const piece of bookSearch.pieces(entry.line, terms)) {
        line.append(piece.marked ? element("mark", piece.text) : piece.text);
      }
      item.append(title, line);
    }
    return item;
  }

  function search() {
    const query = field.value.trim();
    const { results, terms, instead } = bookSearch.find(index, query);
    list.replaceChildren(...results.slice(0, 20).map((result) => shown(result, terms)));
    ways.hidden = results.length > 0;
    if (!query) status.textContent = "";
    else if (!results.length) status.textContent = `No page has “${query}”. These are the parts of the book:`;
    else {
      const pages = results.length === 1 ? "1 page" : `${results.length} pages`;
      const best = results.length > 20 ? ", the best 20 of them below" : "";
      const slip = instead.length ? ` (searched for ${instead.join(", ")})` : "";
      status.textContent = `${pages} found${best}${slip}.`;
    }
    document.title = document.title.replace(/^.*?(?=Search)/, query ? `${query} - ` : "");
  }

  function remember() {
    const address = new URL(location.href);
    address.search = field.value.trim() ? `?q=${encodeURIComponent(field.value.trim())}` : "";
    history.replaceState(null, "", address);
  }

  document.getElementById("book-search").hidden = false;
  field.value = new URLSearchParams(location.search).get("q") ?? "";
  field.addEventListener("input", () => {
    search();
    remember();
  });
  document.getElementById("book-search").addEventListener("submit", (event) => event.preventDefault());
  search();
  if (!field.value) field.focus();
})();
