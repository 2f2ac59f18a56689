"use strict";
// A layered layout of boxes in boxes: every container is laid out by itself, from the innermost outwards, in rows from top to bottom,
// with edges from row to row. An edge that passes a row takes a place in it; edges of one source share theirs. What comes into a
// container enters at its top, what leaves it goes through its bottom.

const ROW_GAP = 24, BOX_GAP = 18, LINE_GAP = 9, MARGIN = 14, LANE = 9;

// Lays out `root`. A box is { id, kind, children, w, h, header, labelWidth, carries, carried }; leaves come with w and h. An edge is { from, to, kind }
// between boxes without children. Sets x, y, w and h of every box, as seen from the root, and the points of every edge.
function layOut(root, edges) {
  const parents = new Map();
  (function walk(box) {
    for (const child of box.children) { parents.set(child, box); walk(child); }
  })(root);
  const around = (box) => { const path = []; for (; box; box = parents.get(box)) path.push(box); return path; };

  // The stretches of the edges in each container: from a child or an entry to a child or an exit.
  const stretches = new Map([...parents.values(), root].map((box) => [box, new Map()]));
  const stretch = (container, from, to, source) => {
    const key = `${from.key} ${to.key} ${source.id}`, known = stretches.get(container);
    if (!known.has(key)) known.set(key, { from, to, source, points: [] });
    return { container, at: known.get(key) };
  };
  const child = (box) => ({ key: `${box.id}`, box });
  for (const edge of edges.filter((edge) => edge.kind !== "carry")) {
    const out = around(edge.from), into = around(edge.to);
    const common = out.find((box) => into.includes(box));
    const exit = { key: `out ${edge.from.id}`, exit: true }, entry = { key: `in ${edge.from.id}`, entry: true };
    const [leaves, enters] = [out.indexOf(common), into.indexOf(common)];
    edge.route = out.slice(1, leaves).map((box, i) => stretch(box, child(out[i]), exit, edge.from));
    edge.route.push(stretch(common, child(out[leaves - 1]), child(into[enters - 1]), edge.from));
    const inwards = into.slice(1, enters).map((box, i) => stretch(box, entry, child(into[i]), edge.from));
    edge.route.push(...inwards.reverse());
  }

  (function arrangeInside(box) {
    box.children.forEach(arrangeInside);
    if (box.children.length) arrange(box, [...stretches.get(box).values()]);
  })(root);
  (function place(box, x, y) {
    [box.x, box.y] = [box.x + x, box.y + y];
    for (const child of box.children) place(child, box.x, box.y);
  })(Object.assign(root, { x: 0, y: 0 }), 0, 0);

  for (const edge of edges) {
    const { from, to, route = [] } = edge;
    edge.points = [
      [from.x + from.w / 2, from.y + from.h],
      ...route.flatMap(({ container, at }) => at.points.map(([x, y]) => [x + container.x, y + container.y])),
      [to.x + to.w / 2, to.y],
    ];
  }
  spreadArrivals(edges);
  for (const edge of edges) if (edge.kind === "carry") edge.points = roundTheBody(edge, parents.get(edge.to));
}

// Lays out the children of one container, relative to it, and the stretches between them.
function arrange(box, stretches) {
  const cells = new Map();
  const cell = ({ key, box, entry, exit }) => {
    if (!cells.has(key)) cells.set(key, { box, entry, exit, w: box?.w ?? 0, h: box?.h ?? 0, row: 1, x: 0 });
    return cells.get(key);
  };
  for (const inner of box.children) cell({ key: `${inner.id}`, box: inner });
  const links = stretches.map((at) => ({ at, tail: cell(at.from), head: cell(at.to), via: [] }));
  const sorted = downwards([...cells.values()], links);
  rank(sorted, links);
  const [rows, pairs] = inRows(sorted, links);
  order(rows, pairs);
  const width = columns(rows, pairs);

  const lanes = box.kind === "loop" ? LANE * (1 + box.carries) : 0, left = MARGIN + lanes;
  box.w = Math.max(width + left + MARGIN, box.labelWidth + 2 * MARGIN);
  const shift = left + (box.w - width - left - MARGIN) / 2;
  let y = box.header + MARGIN + lanes;
  for (const row of rows) {
    const height = Math.max(...row.map((c) => c.h));
    for (const c of row) [c.x, c.top, c.bottom] = [c.x + shift, y, y + height];
    if (row.some((c) => c.box)) y += height + ROW_GAP;
  }
  box.h = y - ROW_GAP + MARGIN + lanes;
  for (const c of rows.flat()) {
    if (c.entry) [c.top, c.bottom] = [0, box.header];
    if (c.exit) c.top = c.bottom = box.h;
    // A source stands as low, and an end as high as its row allows.
    const up = links.some(({ head }) => head === c), down = links.some(({ tail }) => tail === c);
    const free = c.bottom - c.top - c.h;
    if (c.box) [c.box.x, c.box.y] = [c.x - c.w / 2, c.top + (up === down ? free / 2 : down ? free : 0)];
  }
  for (const { at, tail, head, via, reversed } of links) {
    const through = [...(tail.box ? [] : [tail]), ...via, ...(head.box ? [] : [head])];
    at.points = through.flatMap((c) => [[c.x, c.top], [c.x, c.bottom]]);
    // Beside a tall box, lines are straight.
    if (tail.box && tail.bottom > tail.box.y + tail.h + 1) at.points.unshift([tail.x, tail.bottom]);
    if (head.box && head.top < head.box.y - 1) at.points.push([head.x, head.top]);
    if (reversed) at.points.reverse();
  }
}

// Turns links round until none leads back, and sorts the cells so that every link leads onwards.
function downwards(cells, links) {
  const sorted = [], open = new Set(), done = new Set();
  const visit = (c) => {
    open.add(c);
    for (const link of links.filter((link) => link.tail === c && !link.reversed)) {
      if (open.has(link.head)) [link.tail, link.head, link.reversed] = [link.head, link.tail, true];
      else if (!done.has(link.head)) visit(link.head);
    }
    open.delete(c);
    done.add(c);
    sorted.unshift(c);
  };
  for (const c of cells.reverse()) if (!done.has(c)) visit(c);
  return sorted;
}

// The row of each cell: entries in row 0, a body's parameters in row 1, the others after what leads to them, a body's results and then
// exits last. What nothing leads to stands just above its first user.
function rank(sorted, links) {
  const from = new Map(sorted.map((c) => [c, []])), to = new Map(sorted.map((c) => [c, []]));
  for (const link of links) { from.get(link.tail).push(link.head); to.get(link.head).push(link.tail); }
  const is = (c, kind) => c.box?.kind === kind;
  for (const c of sorted) c.row = c.entry ? 0 : Math.max(1, ...to.get(c).map((tail) => tail.row + 1));
  const last = Math.max(...sorted.filter((c) => !is(c, "result") && !c.exit).map((c) => c.row));
  const results = sorted.some((c) => is(c, "result")) ? 1 : 0;
  for (const c of sorted) {
    if (is(c, "result")) c.row = last + results;
    if (c.exit) c.row = last + results + 1;
  }
  for (const c of [...sorted].reverse()) {
    if (!to.get(c).length && from.get(c).length && !c.entry && !is(c, "param")) {
      c.row = Math.max(1, Math.min(...from.get(c).map((head) => head.row - 1)));
    }
  }
}

// The rows, with places for the edges that pass; and which cells of neighbouring rows are joined.
function inRows(sorted, links) {
  const rows = Array.from({ length: 1 + Math.max(...sorted.map((c) => c.row)) }, () => []);
  for (const c of sorted) rows[c.row].push(c);
  const passing = new Map(), pairs = new Map();
  for (const link of links) {
    for (let row = link.tail.row + 1; row < link.head.row; row++) {
      const key = `${row} ${link.reversed ? link.at.to.key : link.at.source.id}`;
      if (!passing.has(key)) {
        passing.set(key, { w: 0, h: 0, row, x: 0 });
        rows[row].push(passing.get(key));
      }
      link.via.push(passing.get(key));
    }
    const way = [link.tail, ...link.via, link.head];
    for (let i = 1; i < way.length; i++) {
      if (!pairs.has(way[i])) pairs.set(way[i], new Set());
      pairs.get(way[i]).add(way[i - 1]);
    }
  }
  const up = new Map(rows.flat().map((c) => [c, [...(pairs.get(c) ?? [])]])), down = new Map(rows.flat().map((c) => [c, []]));
  for (const [c, above] of up) for (const other of above) down.get(other).push(c);
  return [rows.filter((row) => row.length), { up, down }];
}

// Sorts each row so that few edges cross: by the mean place of the neighbours above, then below, in turns.
function order(rows, { up, down }) {
  const number = (row) => row.forEach((c, i) => (c.place = (i + 0.5) / row.length));
  rows.forEach(number);
  const sweep = (rows, neighbours) => {
    for (const row of rows) {
      const mean = (c) => {
        // What turns pass on stands on the left, near its way round the body.
        if (c.box?.carried) return -1;
        const near = neighbours.get(c);
        return near.length ? near.reduce((sum, n) => sum + n.place, 0) / near.length : c.place;
      };
      const means = new Map(row.map((c) => [c, mean(c)]));
      row.sort((a, b) => means.get(a) - means.get(b));
      number(row);
    }
  };
  for (let i = 0; i < 8; i++) {
    sweep(rows, up);
    sweep([...rows].reverse(), down);
  }
  sweep(rows, up);
}

// Where along its row each cell stands: near its neighbours, apart from the cells beside it. Returns the width.
function columns(rows, { up, down }) {
  const apart = (a, b) => (a.w + b.w) / 2 + (a.box && b.box ? BOX_GAP : LINE_GAP);
  for (const row of rows) row.forEach((c, i) => (c.x = i ? row[i - 1].x + apart(row[i - 1], c) : c.w / 2));
  const near = (row, neighbours) => {
    // Cells that come too close to each other move as one block, to the mean of where its cells want to be.
    const blocks = [];
    let offset = 0;
    row.forEach((c, i) => {
      offset += i ? apart(row[i - 1], c) : 0;
      const others = neighbours.flatMap((n) => n.get(c));
      const weight = others.length ? 1 : 0.01;
      const want = others.length ? others.reduce((sum, n) => sum + n.x, 0) / others.length : c.x;
      blocks.push({ sum: weight * (want - offset), weight, cells: [[c, offset]] });
      while (blocks.length > 1) {
        const [a, b] = blocks.slice(-2);
        if (a.sum / a.weight <= b.sum / b.weight) break;
        blocks.splice(-2, 2, { sum: a.sum + b.sum, weight: a.weight + b.weight, cells: [...a.cells, ...b.cells] });
      }
    });
    for (const { sum, weight, cells } of blocks) for (const [c, offset] of cells) c.x = sum / weight + offset;
  };
  for (let i = 0; i < 12; i++) {
    for (const row of rows) near(row, [up]);
    for (const row of [...rows].reverse()) near(row, [down]);
  }
  for (let i = 0; i < 4; i++) for (const row of rows) near(row, [up, down]);
  const all = rows.flat(), left = Math.min(...all.map((c) => c.x - c.w / 2));
  for (const c of all) c.x -= left;
  return Math.max(...all.map((c) => c.x + c.w / 2));
}

// Edges that arrive at one box arrive side by side, in the order in which they come.
function spreadArrivals(edges) {
  const arrivals = new Map();
  for (const edge of edges.filter((edge) => edge.kind !== "carry")) {
    arrivals.set(edge.to, [...(arrivals.get(edge.to) ?? []), edge]);
  }
  for (const [box, all] of arrivals) {
    all.sort((a, b) => a.points.at(-2)[0] - b.points.at(-2)[0]);
    all.forEach(({ points }, i) => {
      const x = box.x + (box.w * (i + 1)) / (all.length + 1), straight = points.at(-2)[0] === points.at(-1)[0];
      points.at(-1)[0] = x;
      if (straight && points.length > 2) points.at(-2)[0] = x;
    });
  }
}

// From a result of a body back to the parameter that gets it in the next turn, on the left of everything.
function roundTheBody({ from, to, lane }, body) {
  const x = body.x + MARGIN / 2 + LANE * lane;
  const below = body.y + body.h - MARGIN / 2 - LANE * lane, above = body.y + body.header + MARGIN / 2 + LANE * lane;
  const start = from.x + from.w * 0.3, end = to.x + to.w * 0.3;
  return [[start, from.y + from.h], [start, below], [x, below], [x, above], [end, above], [end, to.y]];
}
