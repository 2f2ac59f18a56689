"use strict";
// The two graphs: which boxes are unfolded, drawing them, and what mouse, keyboard and address bar do.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const LINE = 24, HEADER = 22;

window.addEventListener("error", (event) => {
  document.documentElement.dataset.error = event.message;
  document.getElementById("failure").textContent = `Drawing the graphs failed: ${event.message}`;
});

const measure = (() => {
  const context = document.createElement("canvas").getContext("2d");
  return (text, font) => ((context.font = font), context.measureText(text).width);
})();
const element = (name, attributes = {}, text) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
const shorten = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const shape = (type) => type.replace(/\b(?:f|i|u|bf)\d+|\bbool/g, "").replace("[]", "scalar");

const settings = { T: DATA.first, left: "manual", backward: false, constants: false };

class Panel {
  constructor(side) {
    this.side = side;
    this.host = document.querySelector(`#${side} .graph`);
    this.about = document.querySelector(`#${side} .about`);
    this.toggled = new Map();
    this.view = null;
    this.svg = this.host.appendChild(element("svg", { role: "group", "aria-label": `the ${side} graph` }));
    this.stage = this.svg.appendChild(element("g"));
    this.listen();
  }

  // The loop's graph is one for any number of steps.
  get picture() {
    return this.side === "left" ? DATA.pictures[settings.left][settings.T] : DATA.pictures.dynamic.any;
  }

  // The boxes to draw, as a tree, and the edges between those of them that are folded.
  tree() {
    const { boxes, edges } = this.picture;
    const shown = boxes.map((b) => (settings.backward || !b.backward) && (settings.constants || b.kind !== "constant"));
    const key = boxes.map((b) => b.label);
    const keyOf = (i) => (boxes[i].parent === null ? "" : `${keyOf(boxes[i].parent)}/`) + key[i];
    const made = boxes.map((b, id) => ({ ...b, id, key: keyOf(id), children: [], count: 0 }));
    const root = { id: -1, kind: "root", children: [], header: 0, labelWidth: 0, isOpen: true };
    const inside = boxes.map(() => 0);
    boxes.forEach((b, i) => { if (shown[i] && b.parent !== null) inside[b.parent]++; });
    const isOpen = (i) => inside[i] > 0 && (this.toggled.get(made[i].key) ?? boxes[i].open);
    // The outermost folded box around a box, or the box.
    const visible = (i) => {
      const path = [];
      for (let at = i; at !== null; at = boxes[at].parent) path.unshift(at);
      return path.find((at) => !isOpen(at)) ?? i;
    };
    made.forEach((box, i) => {
      box.folds = inside[i] > 0;
      box.isOpen = isOpen(i);
      if (box.op) for (let at = box.parent; at !== null; at = boxes[at].parent) if (shown[i]) made[at].count++;
      if (shown[i] && visible(i) === i) (box.parent === null ? root : made[box.parent]).children.push(box);
    });
    for (const box of made) this.size(box);
    const drawn = new Map();
    for (const edge of edges) {
      if (!shown[edge.from] || !shown[edge.to]) continue;
      const [from, to] = [visible(edge.from), visible(edge.to)];
      const name = `${from} ${to} ${edge.kind}`;
      if (from === to) continue;
      if (!drawn.has(name)) drawn.set(name, { from: made[from], to: made[to], kind: edge.kind, types: new Set() });
      drawn.get(name).types.add(edge.type);
    }
    for (const box of made) {
      const carries = [...drawn.values()].filter((edge) => edge.kind === "carry" && edge.to.parent === box.id);
      carries.forEach((edge, lane) => {
        edge.lane = lane;
        edge.from.carried = edge.to.carried = true;
      });
      box.carries = carries.length;
    }
    return { root, edges: [...drawn.values()] };
  }

  size(box) {
    const around = box.folds && box.kind !== "variable";
    box.text = shorten(box.label, 30);
    box.extra = around ? (box.count === 1 ? "1 op" : `${box.count} ops`) : shorten(shape(box.type), 24);
    if (box.op && box.note) box.extra = `${box.extra}  ${box.note}`;
    if (box.kind === "loop") box.extra = "repeated for every step";
    box.labelWidth = measure(box.text, "600 12.5px system-ui") + measure(box.extra, "11px system-ui") + (box.folds ? 38 : 26);
    box.header = HEADER;
    if (!box.isOpen) [box.w, box.h] = [Math.max(54, box.labelWidth), LINE];
  }

  draw() {
    const { root, edges } = this.tree();
    layOut(root, edges);
    this.extent = [root.w, root.h];
    this.stage.replaceChildren();
    const [boxes, lines, labels] = [element("g"), element("g"), element("g", { class: "labels" })];
    this.stage.append(boxes, lines, labels);
    (function paint(panel, box) {
      for (const child of box.children) { boxes.append(panel.box(child, labels)); paint(panel, child); }
    })(this, root);
    this.lines = edges.map((edge) => {
      const line = element("path", { d: curve(edge), class: `edge ${edge.kind}`, "marker-end": `url(#${edge.kind}-end)` });
      line.dataset.from = edge.from.key;
      line.dataset.to = edge.to.key;
      lines.append(line);
      return { edge, line };
    });
    for (const { edge } of this.lines.filter(({ edge }) => edge.kind === "carry")) {
      const [x, y] = edge.points[2];
      if (!edge.lane) labels.append(element("text", { x: x + 8, y: y - 6, class: "turn" }, "to the next turn"));
    }
    if (!this.view) this.fit();
  }

  // The labels of what is unfolded go on top of the edges inside.
  box(box, labels) {
    const group = element("g", { class: `box ${box.kind}${box.isOpen ? " open" : ""}${box.backward ? " backward" : ""}` });
    group.dataset.key = box.key;
    group.setAttribute("tabindex", "0");
    group.append(element("title", {}, describe(box)));
    const rx = ["param", "result", "placeholder"].includes(box.kind) ? LINE / 2 : 6;
    const rect = (dx) => element("rect", { x: box.x + dx, y: box.y + dx, width: box.w, height: box.h, rx });
    if (box.kind === "loop") group.append(rect(6), rect(3));
    if (box.kind === "group" && !box.isOpen) group.append(rect(0));
    group.append(rect(0));
    const y = box.y + (box.isOpen ? HEADER / 2 + 2 : box.h / 2);
    let x = box.x + 10;
    if (box.folds) {
      group.setAttribute("role", "button");
      group.setAttribute("aria-expanded", box.isOpen);
      const d = box.isOpen ? `M${x} ${y - 2}l4 4l4 -4` : `M${x + 2} ${y - 4}l4 4l-4 4`;
      group.append(element("path", { d, class: "fold" }));
      x += 14;
    } else {
      group.setAttribute("role", "img");
    }
    group.setAttribute("aria-label", describe(box));
    const text = element("text", { x, y, class: "label" }, box.text);
    text.append(element("tspan", { dx: 7, class: "extra" }, box.extra));
    if (box.isOpen) {
      text.classList.add(box.kind);
      labels.append(text);
    } else {
      group.append(text);
    }
    group.addEventListener("click", (event) => {
      event.stopPropagation();
      if (box.folds && !this.dragged) this.toggle(box);
    });
    group.addEventListener("keydown", (event) => {
      if ((event.key === "Enter" || event.key === " ") && box.folds) {
        event.preventDefault();
        this.toggle(box);
        this.find(box.key)?.focus();
      }
    });
    for (const event of ["mouseenter", "focus"]) group.addEventListener(event, () => this.tell(box));
    for (const event of ["mouseleave", "blur"]) group.addEventListener(event, () => this.tell(null));
    return group;
  }

  find(key) { return [...this.stage.querySelectorAll(".box")].find((group) => group.dataset.key === key); }

  toggle(box) {
    this.toggled.set(box.key, !box.isOpen);
    this.draw();
    if (!this.moved) this.fit();
  }

  // Says what a box is, and brings its edges out.
  tell(box) {
    this.about.textContent = box ? describe(box) : "";
    const inside = (key) => box && (key === box.key || key.startsWith(`${box.key}/`));
    for (const { line } of this.lines) {
      const near = inside(line.dataset.from) || inside(line.dataset.to);
      line.classList.toggle("near", !!near);
    }
    this.stage.classList.toggle("telling", !!box && this.lines.some(({ line }) => line.classList.contains("near")));
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.host;
    const [w, h] = this.extent;
    const scale = Math.min(1.15, (width - 16) / w, (height - 16) / h);
    this.look({ scale, x: (width - w * scale) / 2, y: Math.max(8, (height - h * scale) / 2) });
    this.moved = false;
  }

  look(view) {
    this.view = view;
    this.stage.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  }

  zoom(factor, x = this.host.clientWidth / 2, y = this.host.clientHeight / 2) {
    const scale = Math.min(4, Math.max(0.05, this.view.scale * factor)), by = scale / this.view.scale;
    this.look({ scale, x: x - (x - this.view.x) * by, y: y - (y - this.view.y) * by });
    this.moved = true;
  }

  pan(dx, dy) {
    this.look({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
    this.moved = true;
  }

  listen() {
    let held = null;
    this.host.addEventListener("pointerdown", (event) => {
      held = [event.clientX, event.clientY];
      this.dragged = false;
    });
    window.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [dx, dy] = [event.clientX - held[0], event.clientY - held[1]];
      if (!this.dragged && Math.hypot(dx, dy) < 4) return;
      this.dragged = true;
      held = [event.clientX, event.clientY];
      this.pan(dx, dy);
    });
    window.addEventListener("pointerup", () => (held = null));
    // The wheel alone scrolls the page.
    this.host.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const { left, top } = this.host.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY / 300), event.clientX - left, event.clientY - top);
    }, { passive: false });
    this.host.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
      if (event.key in steps) this.pan(...steps[event.key]);
      else if (event.key === "+" || event.key === "=") this.zoom(1.25);
      else if (event.key === "-") this.zoom(0.8);
      else if (event.key === "0") this.fit();
      else return;
      event.preventDefault();
    });
    document.querySelector(`#${this.side} .zoom-in`).addEventListener("click", () => this.zoom(1.25));
    document.querySelector(`#${this.side} .zoom-out`).addEventListener("click", () => this.zoom(0.8));
    document.querySelector(`#${this.side} .fit`).addEventListener("click", () => this.fit());
    window.addEventListener("resize", () => this.moved || this.fit());
  }
}

function describe(box) {
  const what = {
    scope: "name scope", group: "put together for reading; the graph itself has no such box", param: "goes into the loop's body",
    result: "comes out of the loop's body", loop: "Loop", variable: "variable",
  }[box.kind] ?? box.op;
  return [box.name || box.label, what, box.type, box.note].filter((part) => part).join(" · ");
}

// Straight through rows, bent between them.
function curve({ points, kind }) {
  const [[x, y], ...rest] = points;
  if (kind === "carry") return `M${x} ${y}` + rest.map(([x, y]) => `L${x} ${y}`).join("");
  let d = `M${x} ${y}`, [px, py] = [x, y];
  for (const [x, y] of rest) {
    const half = (py + y) / 2;
    d += Math.abs(x - px) < 0.5 ? `L${x} ${y}` : `C${px} ${half} ${x} ${half} ${x} ${y}`;
    [px, py] = [x, y];
  }
  return d;
}

const panels = [new Panel("left"), new Panel("right")];

function show() {
  for (const panel of panels) {
    panel.view = null;
    panel.draw();
    const { nodes } = panel.picture;
    document.querySelector(`#${panel.side} .nodes`).textContent = `${nodes.toLocaleString("en")} nodes`;
  }
  for (const input of document.querySelectorAll("[data-setting]")) {
    const value = settings[input.dataset.setting];
    if (input.type === "checkbox") input.checked = value;
    else input.checked = String(value) === input.value;
  }
}

for (const input of document.querySelectorAll("[data-setting]")) {
  input.addEventListener("change", () => {
    settings[input.dataset.setting] = input.type === "checkbox" ? input.checked : input.value;
    show();
  });
}
for (const [button, open] of [["unfold", true], ["fold", false]]) {
  document.getElementById(button).addEventListener("click", () => {
    for (const panel of panels) {
      const { boxes } = panel.picture;
      const key = (i) => (boxes[i].parent === null ? "" : `${key(boxes[i].parent)}/`) + boxes[i].label;
      boxes.forEach((_, i) => panel.toggled.set(key(i), open));
    }
    show();
  });
}
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = getComputedStyle(root).colorScheme === "dark" ||
    (getComputedStyle(root).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.style.colorScheme = dark ? "light" : "dark";
});

// The address may set what is shown, and click: compare.html#T=10&left=static&backward&click=left:step%202
for (const part of location.hash.slice(1).split("&").filter((part) => part)) {
  const [name, value = "true"] = part.split("=").map(decodeURIComponent);
  if (name === "dark") document.documentElement.style.colorScheme = "dark";
  else if (typeof settings[name] === "boolean") settings[name] = value === "true";
  else if (name in settings) settings[name] = value;
}
show();
for (const part of location.hash.slice(1).split("&").filter((part) => part.startsWith("click="))) {
  const [side, key] = decodeURIComponent(part.slice(6)).split(/:(.*)/);
  const box = panels.find((panel) => panel.side === side)?.find(key);
  if (!box) throw new Error(`there is no box ${side}:${key}`);
  box.dispatchEvent(new MouseEvent("click", { bubbles: true }));
}
document.documentElement.dataset.ready = "true";
