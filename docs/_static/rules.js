/* Filters the page that has all rules: a rule stays if it has all words of the field.
   While the field has words, the folded parts that have a rule left are open. */

"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("rule-filter");
  const status = field.parentElement.querySelector("[role=status]");
  const rules = [...document.querySelectorAll("dl.rules > dt")].map((term) => {
    const parts = [term, term.nextElementSibling];
    return { parts, text: parts.map((part) => part.textContent.toLowerCase()).join(" ") };
  });
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    let left = 0;
    for (const { parts, text } of rules) {
      const hidden = !words.every((word) => text.includes(word));
      for (const part of parts) part.hidden = hidden;
      if (!hidden) left++;
    }
    const filters = field.value.trim() !== "";
    for (const list of document.querySelectorAll("dl.rules")) {
      list.closest("section").hidden = !list.querySelector("dt:not([hidden])");
      list.closest("details").open = filters;
    }
    status.textContent = filters ? `${left} of ${rules.length} rules` : "";
  });
  field.parentElement.hidden = false;
});
