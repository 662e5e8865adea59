/* Filters the page that has all rules: a rule stays if it has all words of the field. */

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
    for (const list of document.querySelectorAll("dl.rules")) {
      list.parentElement.hidden = !list.querySelector("dt:not([hidden])");
    }
    status.textContent = field.value.trim() ? `${left} of ${rules.length} rules` : "";
  });
  field.parentElement.hidden = false;
});
