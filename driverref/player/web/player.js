/* Be the scheduler: the reader chooses which thread goes on, over the schedules that `explore` has found.

   `driverref.player` makes the data; `game.py` says what stands in it.  A step can be made if all that
   happens before it has been made, and if some schedule has it and everything that has been made.

   A page has an element `.driverref-play` below each table that can be played.  It holds the data, or
   its `data-play` names a file of the book, which is loaded when the reader begins.

   The way through the file: Game has the data, Position what has been made of it, Player the page. */
(() => {
"use strict";
const TIME = -1;
const SELF = document.currentScript && document.currentScript.src;
const games = (window.driverrefGames ??= {});

const make = (tag, kind, ...inside) => {
  const e = document.createElement(tag);
  if (kind) e.className = kind;
  e.append(...inside);
  return e;
};
const button = (text, kind, action, keys) => {
  const b = make("button", kind, text);
  b.type = "button";
  b.addEventListener("click", action);
  if (keys) b.setAttribute("aria-keyshortcuts", keys);
  return b;
};
// A label of a row: what stands between backticks is code.
const coded = text => text.split(/`([^`]+)`/).map((part, i) => i % 2 ? make("code", "", part) : part);
const milliseconds = us => us % 1000 ? `${us} µs` : `${us / 1000} ms`;

class Game {
  constructor(data) {
    Object.assign(this, data);
    // The steps of each schedule: its last ones, and all that happens before them.
    this.has = this.runs.map(([, last]) => {
      const all = new Uint8Array(this.steps.length), todo = [...last];
      for (let s; (s = todo.pop()) !== undefined;) {
        if (!all[s]) { all[s] = 1; todo.push(...this.steps[s].c); }
      }
      return all;
    });
    this.makers = [...this.threads.keys(), TIME];
    this.of = new Map(this.makers.map(m => [m, []]));
    this.steps.forEach((step, s) => this.of.get(step.m).push(s));
  }
  // A step that the reader sees; all others are made at once, because no other step depends on when.
  visible(s) { const step = this.steps[s]; return step.d || step.e || step.m === TIME; }
}

class Position {
  constructor(game) {
    this.game = game;
    this.done = new Uint8Array(game.steps.length);
    this.left = game.runs.map((_, r) => r);              // the schedules that begin so
    this.log = [];                                       // the visible steps
    this.state = new Map();
    this.changed = new Set();
    this.stands = new Map();
    this.ended = new Set();
    this.holder = new Map();
    this.time = 0;
    this.settle();
  }
  possible(s) { return !this.done[s] && this.left.some(r => this.game.has[r][s]); }
  ready(s) { return this.game.steps[s].c.every(c => this.done[c]); }
  // What a thread can do now: mostly one step, two where something happens that mostly does not.
  options(m) {
    return this.game.of.get(m).filter(s => this.possible(s) && this.ready(s))
      .sort((a, b) => (this.game.steps[a].o || 0) - (this.game.steps[b].o || 0));
  }
  waits(m) { return this.game.of.get(m).find(s => this.possible(s)); }
  able() { return this.game.makers.flatMap(m => this.options(m)); }
  make(s) {
    const step = this.game.steps[s];
    this.done[s] = 1;
    this.left = this.left.filter(r => this.game.has[r][s]);
    if (step.m === TIME) this.time = Math.max(this.time, step.t || 0);
    else this.stands.set(step.m, step.p);
    for (const [thing, field, is] of step.v || []) {
      if (!this.state.has(thing)) this.state.set(thing, new Map());
      this.state.get(thing).set(field, is);
      this.changed.add(thing);
    }
    for (const [lock, taken] of step.h || []) taken ? this.holder.set(lock, step.m) : this.holder.delete(lock);
    if (step.x) this.ended.add(step.m);
  }
  settle() {
    for (let s; (s = this.able().find(s => !this.game.visible(s))) !== undefined;) this.make(s);
  }
  move(s, chosen) {
    if (chosen) this.changed = new Set();
    const stood = this.stands.get(this.game.steps[s].m);
    this.make(s);
    this.log.push({ s, chosen, stood, time: this.time });
    this.settle();
  }
  outcome() {                                            // the row that it can only end with, if there is one
    const row = this.game.runs[this.left[0]][0];
    return this.left.every(r => this.game.runs[r][0] === row) ? row : undefined;
  }
  meets(s) {                                             // whether another step could be first, and that matters
    return this.able().some(o => o !== s && this.game.steps[o].m !== this.game.steps[s].m
      && !this.left.some(r => this.game.has[r][s] && this.game.has[r][o]));
  }
}

class Player {
  constructor(host, rows, data) {
    this.game = new Game(data);
    this.rows = rows;
    this.found = new Set();
    this.path = [];                                      // the steps so far, and those that lie ahead
    this.cursor = 0;
    this.build(host);
    this.restart("");
  }

  // Words.
  text(n) { return this.game.texts[n]; }
  name(m) { return m === TIME ? "time" : this.game.threads[m]; }
  event(parts) { return parts.map(n => this.text(n)).filter(Boolean).join(" "); }
  is(fields) {                                           // what has become of a thing, whole or field by field
    const whole = this.text(fields.get(0) || 0), parts = [...fields].filter(([field]) => field);
    if (!parts.length || whole === "freed") return whole;
    return parts.map(([field, is]) => `${this.text(field)}=${this.text(is)}`).join(", ");
  }
  line(place) { return place ? (this.game.code[place[0]][1][place[1]] || "").trim() : ""; }
  label(s, stood) {
    const step = this.game.steps[s];
    if (step.m === TIME) return `passes, to ${milliseconds(step.t || 0)}`;
    const does = this.text(step.a || 0), events = (step.e || []).map(e => this.event(e));
    if (does.startsWith("hands") || step.o) events.unshift(does);
    return events.join(", then ") || does || (this.line(stood) ? `goes on: ${this.line(stood)}` : "goes on");
  }
  ahead(s, position) {                                   // what a step leads to that has no event itself
    const step = this.game.steps[s], has = this.game.has;
    if (step.e || step.m === TIME) return "";
    const next = this.game.of.get(step.m).find(o => o > s && !position.done[o] && this.game.steps[o].e
      && position.left.some(r => has[r][s] && has[r][o]));
    return next === undefined ? "" : `, on its way to ${this.event(this.game.steps[next].e[0])}`;
  }
  why(m, position, over) {                               // why a thread cannot go on
    if (m === TIME) return over ? "" : "no thread waits for it";
    if (position.ended.has(m)) return "has ended";
    const s = position.waits(m);
    if (s === undefined) return over ? "stops here" : "has nothing to do";
    const step = this.game.steps[s], holder = step.l ? position.holder.get(step.l) : undefined;
    const held = holder === undefined || holder === m ? "" : `, held by ${this.name(holder)}`;
    const what = this.text(step.w || 0).replace(` for ${this.name(m)}`, "");  // its own queue
    return `waits for ${what || "another thread"}${held}`;
  }

  // Moves.
  position(upto = this.cursor) {
    const position = new Position(this.game);
    for (const { s, chosen } of this.path.slice(0, upto)) position.move(s, chosen);
    return position;
  }
  choose(s) {
    const position = this.position(), stood = position.stands.get(this.game.steps[s].m);
    this.path.length = this.cursor;
    this.path.push({ s, chosen: true });
    position.move(s, true);
    this.runOn(position);
    this.show(`${this.name(this.game.steps[s].m)}: ${this.label(s, stood)}.`);
  }
  runOn(position) {                                      // as long as there is one step alone
    for (let able; !this.slow.checked && (able = position.able()).length === 1;) {
      this.path.push({ s: able[0] });
      position.move(able[0]);
    }
    this.cursor = this.path.length;
  }
  first() { const i = this.path.findIndex(move => move.chosen); return i < 0 ? this.path.length : i; }
  restart(said) {
    this.path = [];
    this.cursor = 0;
    this.runOn(this.position());
    this.show(said);
  }
  back() {
    if (this.cursor <= this.first()) return;
    do this.cursor--; while (!this.path[this.cursor].chosen);
    this.show("Taken back.");
  }
  forward() {
    if (this.cursor >= this.path.length) return;
    const { s } = this.path[this.cursor], stood = this.position().stands.get(this.game.steps[s].m);
    do this.cursor++; while (this.cursor < this.path.length && !this.path[this.cursor].chosen);
    this.show(`${this.name(this.game.steps[s].m)}: ${this.label(s, stood)}.`);
  }
  go(cursor, said) { this.cursor = cursor; this.show(said); }
  finish() {
    const position = this.position();
    this.path.length = this.cursor;
    for (let able; (able = position.able()).length;) {
      this.path.push({ s: able[0], chosen: able.length > 1 });
      position.move(able[0], able.length > 1);
    }
    this.go(this.path.length, "");
  }
  lead(row) {                                            // lay out the way to an outcome
    const has = this.game.has[this.game.shortest[row]], position = new Position(this.game);
    this.path = [];
    for (let able; (able = position.able()).length;) {
      const s = able.find(s => has[s]);
      this.path.push({ s, chosen: able.length > 1 });
      position.move(s);
    }
    const choices = this.path.filter(move => move.chosen).length;
    this.go(this.first(), choices
      ? ["The way to “", ...coded(this.game.rows[row][0]), `” has ${choices} choices: press on, or the right arrow key.`]
      : "There is no choice on the way.");
    this.on.focus();
    this.root.scrollIntoView({ block: "nearest" });
  }

  // Looks.
  build(host) {
    const root = this.root = make("section", "play");
    root.setAttribute("aria-label", "Be the scheduler");
    this.score = make("span", "play-score");
    root.append(make("p", "play-head", make("strong", "", "Which thread goes on now?"), this.score,
      button("Close", "", () => { host.hidden = true; host.opener.focus(); })));
    this.cards = new Map(this.game.makers.map((m, i) => {
      const key = m === TIME ? "t" : i < 9 ? String(i + 1) : "";
      const go = option => { const s = this.position().options(m)[option]; if (s !== undefined) this.choose(s); };
      const main = button("", "play-go", () => go(0), key), other = button("", "play-other", () => go(1));
      const next = make("span", "play-next"), name = make("span", "play-name", this.name(m));
      main.append(make("kbd", "", key), name, " ", next);
      const code = make("pre", "play-code"), card = make("div", "play-card", main, other, code);
      return [m, { card, main, other, next, code }];
    }));
    this.slow = make("input");
    this.slow.type = "checkbox";
    this.undo = button("← back", "", () => this.back(), "ArrowLeft");
    this.on = button("on →", "", () => this.forward(), "ArrowRight");
    this.end = button("Run on to the end", "", () => this.finish(), "e");
    this.said = make("p", "play-said");
    this.said.setAttribute("aria-live", "polite");
    this.state = make("ul", "play-state");
    this.state.setAttribute("aria-label", "The state");
    this.log = make("ol", "play-log");
    this.log.setAttribute("aria-label", "What has happened");
    this.log.style.setProperty("--lanes", this.game.threads.length);
    root.append(make("div", "play-cards", ...[...this.cards.values()].map(card => card.card)),
      make("p", "play-tools", this.undo, this.on, button("From the start", "", () => this.restart("From the start."), "Home"), this.end,
        make("label", "", this.slow, " stop at every step")),
      this.said, this.state, this.log,
      make("p", "play-note", this.game.whole ? "" : "There are more schedules. Here the shortest of each outcome can be played. ",
        "Keys: the number of a thread, t for time, the arrows for back and on, e for the end, Home for the start."));
    root.addEventListener("keydown", e => this.key(e));
    host.append(root);
  }
  key(e) {
    if (e.altKey || e.ctrlKey || e.metaKey) return;
    const number = /^[1-9]$/.test(e.key) ? Number(e.key) - 1 : undefined;
    const act = { ArrowLeft: () => this.back(), ArrowRight: () => this.forward(), Home: () => this.restart("From the start."),
      e: () => this.end.disabled || this.finish(), t: () => this.cards.get(TIME).main.click() }[e.key]
      || (number !== undefined && this.cards.has(number) && (() => this.cards.get(number).main.click()));
    if (act) { e.preventDefault(); act(); }
  }
  show(said) {
    const position = this.position(), over = !position.able().length, row = position.outcome();
    if (over) this.found.add(row);
    this.score.textContent = `${this.found.size} of ${this.game.rows.length} found`;
    for (const [m, card] of this.cards) this.showCard(m, card, position, over);
    this.undo.disabled = this.cursor <= this.first();
    this.on.disabled = this.cursor >= this.path.length;
    this.end.disabled = over || row === undefined;
    this.showSaid(said, position, over, row);
    this.rows.forEach((tr, i) => {
      tr.classList.toggle("play-here", over && i === row);
      tr.querySelector(".play-found").textContent = this.found.has(i) ? "✓ found " : "";
    });
    this.state.replaceChildren(...[...position.state].map(([thing, fields]) =>
      make("li", position.changed.has(thing) ? "play-changed" : "", make("b", "", this.text(thing)), ` ${this.is(fields)}`)));
    this.showLog(position);
  }
  showCard(m, { card, main, other, next, code }, position, over) {
    const [plain, second] = position.options(m), stands = position.stands.get(m);
    main.setAttribute("aria-disabled", plain === undefined);
    card.classList.toggle("play-able", plain !== undefined);
    card.classList.toggle("play-meets", plain !== undefined && position.meets(plain));
    next.textContent = plain === undefined ? this.why(m, position, over) : this.label(plain, stands) + this.ahead(plain, position);
    if (m === TIME) next.textContent += ` (now ${milliseconds(position.time)})`;
    other.hidden = second === undefined;
    other.textContent = second === undefined ? "" : `or: ${this.label(second, stands)}`;
    code.hidden = !stands;
    code.replaceChildren();
    if (!stands) return;
    const lines = this.game.code[stands[0]][1], near = [-1, 0, 1].map(d => stands[1] + d).filter(n => n in lines);
    const margin = Math.min(...near.filter(n => lines[n].trim()).map(n => lines[n].search(/\S/)));
    for (const n of near) code.append(make("span", n === stands[1] ? "play-line" : "", `${lines[n].slice(margin) || " "}\n`));
  }
  showSaid(said, position, over, row) {
    const [name, grade] = row === undefined ? [] : this.game.rows[row];
    this.said.replaceChildren(...(said ? [said, " "].flat() : []));
    if (over) {
      const call = this.game.again.replace("{}", () => this.game.runs[position.left[0]][2]);
      this.said.append(make("strong", grade === "fault" ? "play-fault" : "", "The end: ", ...coded(name), "."), " To run it again: ", make("code", "play-call", call));
    } else if (row !== undefined) this.said.append("From here it can only end with: ", ...coded(name), ".");
  }
  showLog(position) {
    let last;
    this.log.replaceChildren(...position.log.map(({ s, chosen, stood, time }, i) => {
      const step = this.game.steps[s], item = make("li", chosen ? "play-chosen" : "");
      const dot = make("span", "play-dot", step.m === TIME ? "" : String(step.m + 1)), what = this.label(s, stood);
      dot.style.gridColumn = step.m === TIME ? `2 / span ${this.game.threads.length}` : step.m + 2;
      item.append(make("span", "play-time", time === last ? "" : milliseconds(time)), dot, make("span", "play-what", what));
      last = time;
      if (chosen) {
        const to = button("↶", "play-to", () => this.go(i, "Gone back."));
        to.setAttribute("aria-label", `Go back to before: ${what}`);
        item.append(to);
      }
      return item;
    }));
    this.log.scrollTop = this.log.scrollHeight;
  }
}

// The data: in the element itself, or in a file of the book that a script element loads.
const load = place => new Promise((resolve, reject) => {
  const own = place.querySelector("script"), name = place.dataset.play;
  if (own) return resolve(JSON.parse(own.textContent));
  if (games[name]) return resolve(games[name]);
  const script = make("script");
  script.src = new URL(`../_games/${name}.js`, SELF);
  script.onload = () => resolve(games[name]);
  script.onerror = () => reject(new Error(script.src));
  document.head.append(script);
});

const find = () => {
for (const place of document.querySelectorAll(".driverref-play:not([data-ready])")) {
  place.dataset.ready = "";
  const box = place.closest(".outcomes, .driverref-outcomes"), { first, count } = place.dataset;
  let rows = [...box.querySelectorAll("tbody tr:not(.how):not(.era)")];
  if (first) rows = rows.slice(Number(first), Number(first) + Number(count));
  const host = make("div"), open = async () => {
    try {
      place.player ??= load(place).then(data => new Player(host, rows, data));
      const player = await place.player;
      host.hidden = false;
      return player;
    } catch (error) {
      host.replaceChildren(`The game could not be loaded: ${error.message}`);
      place.player = undefined;
    }
  };
  const begin = host.opener = button("Play it", "play-begin", async () => {
    const player = await open();
    if (player) player.root.querySelector(".play-able .play-go, .play-tools button:not(:disabled)").focus();
  });
  begin.title = "Be the scheduler: choose which thread goes on";
  if (place.dataset.label) begin.append(` ${place.dataset.label}`);
  place.append(begin, host);
  rows.forEach((tr, i) => {
    const below = tr.nextElementSibling, how = below && below.matches(".how");
    const cell = how ? below.cells[0] : tr.cells[0];
    tr.cells[0].prepend(make("span", "play-found"));
    cell[how ? "prepend" : "append"](button("Play the way there", "play-lead", async () => (await open())?.lead(i)));
  });
}
};
window.driverrefPlay = find;  // for a page that gets a table later
find();
})();
