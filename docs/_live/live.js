/* Run and edit in the page.  Nothing is loaded before the first click, and nothing from elsewhere.

   The way through the file: Python, which runs in a Worker and can be ended and begun again; the
   texts of the blocks; what is shown of a run; Panel, the buttons and the editor below a block; and
   what a page gets of all this. */
(() => {
"use strict";
const SELF = document.currentScript.src;
const ABLE = "Suspending" in WebAssembly && "DecompressionStream" in window;

const make = (tag, kind, ...inside) => {
  const e = document.createElement(tag);
  if (kind) e.className = kind;
  e.append(...inside);
  return e;
};
const button = (text, action) => {
  const b = make("button", "", text);
  b.type = "button";
  b.addEventListener("click", action);
  return b;
};

/* Python. */

const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const unzipped = zipped => new Response(new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip")));

const script = name => new Promise((resolve, reject) => {
  const e = make("script");
  e.src = new URL(name, SELF);
  e.onload = resolve;
  e.onerror = () => reject(new Error(`${name} could not be loaded`));
  document.head.append(e);
});

/* What a Worker begins with.  It is made ready once; a second Worker begins sooner. */
let parts;
const ready = () => parts ??= (async () => {
  await script("python.data.js");
  const { files, lock, worker } = window.driverrefPython;
  delete window.driverrefPython;
  const wasm = await unzipped(bytes(files.wasm)).arrayBuffer();
  return {
    source: URL.createObjectURL(new Blob([worker], { type: "text/javascript" })),
    python: {
      lock, module: await WebAssembly.compile(wasm), stdlib: bytes(files.stdlib), package: bytes(files.package),
      loader: await unzipped(bytes(files.loader)).text(), glue: await unzipped(bytes(files.glue)).text(),
    },
  };
})().catch(error => { parts = undefined; throw error; });

class Python {
  constructor() {
    this.listeners = new Map();
    this.started = this.start();
    this.started.catch(() => {});
  }
  async start() {
    const { source, python } = await ready();
    if (this.ended) return;
    this.worker = new Worker(source);
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = event => { event.preventDefault(); this.hear({ kind: "crashed", text: event.message || "" }); };
    await new Promise((resolve, reject) => {
      this.hear = data => data.kind === "ready" ? resolve() : reject(new Error(data.text));
      this.worker.postMessage(python);
    });
  }
  /* Run the last text; the promise ends with `done`, `stale` or `crashed`. */
  async run(texts, program, show) {
    await this.started;
    return new Promise(resolve => {
      this.hear = data => "block" in data ? show(data) : resolve(data);
      this.worker.postMessage({ texts, program });
    });
  }
  end() {
    this.ended = true;
    this.worker?.terminate();
  }
}

let python, running;                                      // one Python a page; the panel that uses it
const another = () => { python?.end(); python = new Python(); return python; };

/* The texts.  A block is code as a prompt shows it; what is run and edited is without the prompts. */

function code(block) {
  const lines = [];
  let inside = false;                                     // a line of dots below output is output as well
  for (const line of block.querySelector("pre").textContent.split("\n")) {
    inside = /^>>>( |$)/.test(line) || (inside && /^\.\.\.( |$)/.test(line));
    if (inside) lines.push(line.slice(4));
  }
  return lines.join("\n");
}

/* What is shown of a run.  It may come from a program that came with a link, so of the HTML only
   these elements are taken, and no attribute that does anything. */

const TAGS = new Set(("table thead tbody tr th td p pre code details summary br span b strong "
  + "svg title desc g path text tspan rect circle line").split(" "));

function cleaned(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html").body;
  const clean = node => {
    for (const child of [...node.children]) {
      if (!TAGS.has(child.localName)) { child.remove(); continue; }
      for (const { name, value } of [...child.attributes]) {
        const sizes = name === "style" && /^([\w-]+:[\d.]+(rem)?;?)*$/.test(value);
        if (/^on|href|src|style|action/i.test(name) && !sizes) child.removeAttribute(name);
      }
      clean(child);
    }
  };
  clean(parsed);
  return [...parsed.childNodes];
}

const text = (said, fault) => make("pre", "live-text", said);
const folded = said => make("details", "", make("summary", "", "The same as text"), text(said));

const SHOWN = {
  text: (out, [said]) => {
    const last = out.lastElementChild;
    if (last?.matches("pre.live-text")) last.append(said);
    else out.append(text(said));
  },
  outcomes: (out, [said, table, game]) => {
    const box = make("div", "driverref-outcomes live-outcomes", make("div", "live-wide", ...cleaned(table)));
    out.append(box);
    if (game) {
      const data = make("script", "", game);
      data.type = "application/json";
      box.append(make("div", "driverref-play", data));
      window.driverrefPlay();
    }
    box.append(folded(said));
  },
  picture: (out, [said, svg]) => {
    const picture = make("div", "picture-scroll", ...cleaned(svg));
    picture.tabIndex = 0;
    picture.setAttribute("role", "group");
    picture.setAttribute("aria-label", "The timeline");
    out.append(make("div", "live-picture", picture, folded(said)));
  },
};

/* The buttons and the editor below a block. */

const panels = [];                                        // those of the page's blocks, in order

class Panel {
  constructor({ name, original, program, block }) {
    Object.assign(this, { name, original, program, block });
    this.status = make("span", "live-status");
    this.status.setAttribute("role", "status");
    this.clock = make("span", "live-clock");
    this.go = button("Run", () => this.run());
    this.edit = button("Edit", () => this.open());
    this.reset = button("Reset", () => this.restore());
    this.stop = button("Stop", () => this.halt("Stopped."));
    this.stop.hidden = this.reset.hidden = true;
    this.go.setAttribute("aria-label", `Run ${name}`);
    this.edit.setAttribute("aria-label", `Edit ${name}`);
    this.reset.setAttribute("aria-label", `Reset ${name}`);
    this.place = make("div", "live-place");
    this.tools = make("p", "live-tools", this.go, this.edit, this.reset, this.stop, this.status, this.clock);
    this.out = make("div", "live-out");
    this.out.setAttribute("aria-label", `What ${name} prints`);
    this.root = make("div", "live", this.place, this.tools, this.out);
  }
  get text() { return this.area ? this.area.value : this.original; }

  /* Editing. */
  open(focus = true) {
    if (!this.area) {
      this.area = make("textarea", "live-editor");
      this.area.value = this.original;
      this.area.spellcheck = false;
      this.area.autocapitalize = "off";
      this.area.setAttribute("aria-label", `${this.name}, as Python`);
      this.area.title = "Ctrl+Enter runs it. Tab indents. Esc leaves the editor.";
      this.area.addEventListener("keydown", event => this.key(event));
      this.area.addEventListener("input", () => this.fit());
      this.place.append(this.area);
      if (this.block) this.block.hidden = true;
      this.edit.hidden = true;
      this.reset.hidden = false;
      this.fit();
    }
    if (focus) this.area.focus();
  }
  fit() { this.area.rows = Math.min(Math.max(this.area.value.split("\n").length, 3), 40); }
  type(said) {
    if (!document.execCommand("insertText", false, said)) {
      this.area.setRangeText(said, this.area.selectionStart, this.area.selectionEnd, "end");
    }
    this.fit();
  }
  key(event) {
    if (event.key === "Escape") this.go.focus();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.run();
    else if (event.key === "Tab" && !event.shiftKey && !event.ctrlKey && !event.altKey) this.type("    ");
    else if (event.key === "Enter" && !event.shiftKey) {
      const line = this.area.value.slice(0, this.area.selectionStart).split("\n").pop();
      this.type(`\n${line.match(/^ */)[0]}${/:\s*$/.test(line) ? "    " : ""}`);
    } else return;
    event.preventDefault();
  }
  restore() {
    if (running === this) this.halt("");
    this.area?.remove();
    this.area = undefined;
    if (this.block) this.block.hidden = false;
    this.out.replaceChildren();
    this.say("The text of the page is back.");
    this.edit.hidden = false;
    this.reset.hidden = true;
    this.edit.focus();
    if (!this.block) this.open();
  }

  /* Running. */
  say(status, clock = "") { this.status.textContent = status; this.clock.textContent = clock; }
  texts() {                                               // this one's, below those of the blocks above it
    const at = panels.indexOf(this);
    return at < 0 ? [this.text] : panels.slice(0, at + 1).map(panel => panel.text);
  }
  begin() {
    running = this;
    for (const each of document.querySelectorAll(".live-tools button:not(.live-stop)")) each.disabled = true;
    this.stop.hidden = false;
    this.stop.disabled = false;
    this.stop.className = "live-stop";
    this.reset.hidden = false;
    this.out.replaceChildren();
    const began = Date.now();
    this.progress = "";
    this.timer = setInterval(() => {
      this.clock.textContent = [`${Math.round((Date.now() - began) / 1000)} s`, this.progress].filter(Boolean).join(" · ");
    }, 250);
  }
  finish(status) {
    clearInterval(this.timer);
    running = undefined;
    for (const each of document.querySelectorAll(".live-tools button")) each.disabled = false;
    const hadFocus = document.activeElement === this.stop || document.activeElement === document.body;
    this.stop.hidden = true;
    if (hadFocus) this.go.focus();
    this.say(status);
  }
  halt(status) {
    this.turn = undefined;
    another();
    this.finish(status);
  }
  async run() {
    if (running) return;
    const turn = this.turn = {};
    const focused = document.activeElement === this.go;
    this.begin();
    if (focused) this.stop.focus();
    this.say(parts ? "Running." : "Loading Python, once for this page: 9 MB.");
    try {
      python ??= new Python();
      for (let end; ;) {
        await python.started;
        if (this.turn !== turn) return;
        this.say("Running.");
        end = await python.run(this.texts(), this.program, data => this.turn === turn && this.show(data));
        if (this.turn !== turn) return;
        if (end.kind === "stale") { another(); continue; }
        window.driverrefHeap = end.heap;
        if (end.kind === "crashed") throw new Error(end.text);
        break;
      }
      this.finish(this.out.childElementCount ? "Done." : "Done. It prints nothing.");
    } catch (error) {
      if (this.turn !== turn) return;
      python?.end();
      python = undefined;
      console.warn(error);
      this.finish(`Python has stopped: ${error.message || "it crashed"}. Run begins it again.`);
    }
  }
  show({ kind, block, parts }) {
    if (kind === "progress") { this.progress = parts[0]; return; }
    if (block === this.texts().length - 1) SHOWN[kind](this.out, parts);
  }
}

/* A page. */

/* A text in a link: compressed, as the part of an address that no browser sends anywhere. */
async function packed(said) {
  const stream = new Blob([said]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const all = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(Array.from(all, byte => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
function unpacked(said) {
  const stream = new Blob([bytes(said.replaceAll("-", "+").replaceAll("_", "/"))]).stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}

async function tryIt(place, block) {
  const panel = new Panel({ name: "the program", original: code(block), program: true });
  const link = make("input", "live-link");
  link.readOnly = true;
  link.hidden = true;
  link.setAttribute("aria-label", "The link with this text");
  const linking = button("Link to this text", async () => {
    const address = new URL(location.href);
    address.hash = `text=${await packed(panel.text)}`;
    history.replaceState(null, "", address);
    link.value = address.href;
    link.hidden = false;
    link.select();
    const copied = await navigator.clipboard?.writeText(address.href).then(() => true, () => false);
    panel.say(copied ? "The link is copied. The text is in it, and is sent nowhere."
      : "The link has the text in it. It is sent nowhere.");
  });
  panel.tools.insertBefore(linking, panel.stop);
  panel.tools.after(link);
  block.hidden = true;
  panel.open(false);
  place.append(panel.root);
  const take = async () => {
    const given = location.hash.match(/^#text=([\w-]+)$/);
    if (!given) return;
    try {
      panel.area.value = await unpacked(given[1]);
      panel.fit();
      panel.say("This text came with the link. Read it, then run it.");
    } catch {
      panel.say("The text of the link is damaged.");
    }
  };
  window.addEventListener("hashchange", take);
  await take();
}

const blocks = [...document.querySelectorAll(".live-block")];
if (!blocks.length) return;
if (!ABLE) {
  blocks[0].before(make("p", "live-note", "This browser cannot run the examples: it cannot switch stacks (JSPI). Copy them instead."));
  return;
}
const here = document.querySelector(".live-here");
if (here) { tryIt(here, blocks[0]); return; }
for (const [number, block] of blocks.entries()) {
  const panel = new Panel({ name: `block ${number + 1}`, original: code(block), program: false, block });
  panels.push(panel);
  block.after(panel.root);
  panel.place.before(block);
}
const line = document.querySelector(".program-line");
if (line) {
  const whole = blocks.map(code).join("\n\n") + "\n";
  const panel = new Panel({ name: "this page's program", original: whole, program: false });
  panel.root.hidden = true;
  const begin = button("Run it here", () => { panel.root.hidden = false; begin.disabled = true; panel.open(); panel.run(); });
  begin.className = "live-begin";
  line.append(" ", begin);
  line.after(panel.root);
}
})();
