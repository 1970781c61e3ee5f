"use strict";
// Draws the plots of the pages: asks Prometheus for each panel's query over the time that is looked at, and draws what it answers as SVG.
// Prometheus takes this file for a template of HTML: there are no double braces in it, and no sign for "less than", which would come out as an entity.

const HOURS = [[1, "1 hour"], [6, "6 hours"], [24, "1 day"], [168, "7 days"]];
const POINTS = 240;
const SHORTEST_STEP = 15;
const WIDTH = 640;
const HEIGHT = 200;
const LEFT = 70;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 24;
// Each has a contrast of more than 4.5 to white; the dashes tell lines apart where colours do not.
const COLOURS = ["#0b4fa8", "#b3261e", "#1b7f3b", "#8a4fbe", "#a04f00", "#00707a", "#5a6169", "#b0226f"];
const DASHES = ["none", "6 3", "2 3", "9 3 2 3"];
const TEXT = "#4a525b";
// By unit: factors with their names, the smallest first.
const SCALES = {
  share: [[0.01, " %"]],
  seconds: [[0.001, " ms"], [1, " s"], [60, " min"], [3600, " h"], [86400, " d"]],
  bytes: [[1, " B"], [1024, " KiB"], [1024 ** 2, " MiB"], [1024 ** 3, " GiB"], [1024 ** 4, " TiB"]],
  per_second: [[1, " /s"]],
  per_minute: [[1, " /min"]],
  count: [[1, ""]],
};
// Seconds between marks of the time axis.
const MARKS = [600, 3600, 4 * 3600, 86400];

function hoursAsked() {
  const asked = Number(new URLSearchParams(location.search).get("hours"));
  return HOURS.some(([hours]) => hours === asked) ? asked : 6;
}

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// The same words as the template "logbastion.series".
function nameOf(labels) {
  const names = Object.keys(labels).filter((name) => name !== "__name__").sort();
  return names.map((name) => `${name}=${labels[name]}`).join(" ") || "all";
}

function scaleFor(unit, largest) {
  const scales = SCALES[unit] || SCALES.count;
  return scales.filter(([factor]) => largest >= factor).pop() || (largest > 0 ? scales[0] : scales.find(([factor]) => factor === 1) || scales[0]);
}

function written(value, [factor, suffix]) {
  return `${Number((value / factor).toPrecision(3))}${suffix}`;
}

// A distance of 1, 2 or 5 times a power of ten between at most five lines.
function distance(span) {
  const power = 10 ** Math.floor(Math.log10(span / 5));
  return power * [1, 2, 5, 10].find((times) => times * power * 5 >= span * 0.999);
}

function axisOf(values, unit, threshold) {
  const highest = Math.max(0, ...values);
  const lowest = Math.min(0, ...values);
  // Far below a threshold the line would be flat on the ground; then the threshold is only told.
  const top = threshold !== null && highest >= threshold / 2 ? Math.max(highest, threshold) : highest;
  const scale = scaleFor(unit, Math.max(top, -lowest));
  const step = distance((top - lowest || scale[0]) / scale[0]) * scale[0];
  const from = Math.floor(lowest / step + 1e-9) * step;
  const to = Math.max(Math.ceil(top / step - 1e-9), 1) * step;
  return { from, to, step, scale };
}

function look(index) {
  const dash = DASHES[Math.floor(index / COLOURS.length) % DASHES.length];
  return { stroke: COLOURS[index % COLOURS.length], "stroke-dasharray": dash, "stroke-width": 2, fill: "none" };
}

// Pieces of a line; where a value is missing, or is no number, the line is broken.
function pieces(values, step) {
  const found = [];
  let before = -Infinity;
  for (const [time, text] of values) {
    const value = Number(text);
    if (Number.isFinite(value)) {
      if (time - before > step * 1.5) {
        found.push([]);
      }
      found[found.length - 1].push([time, value]);
      before = time;
    }
  }
  return found;
}

function timeMarks(start, end) {
  const distance = MARKS.find((seconds) => 7 >= (end - start) / seconds) || MARKS[MARKS.length - 1];
  const first = Math.ceil(start / distance) * distance;
  const found = [];
  for (let time = first; end >= time; time += distance) {
    const text = new Date(time * 1000).toISOString();
    found.push([time, distance >= 86400 ? text.slice(5, 10) : text.slice(11, 16)]);
  }
  return found;
}

function grid(plot, axis, x, y, start, end) {
  for (let line = Math.round(axis.from / axis.step); Math.round(axis.to / axis.step) >= line; line += 1) {
    const value = line * axis.step;
    plot.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), stroke: line === 0 ? TEXT : "#d9dde2" }));
    plot.append(svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end", "font-size": 12, fill: TEXT }, written(value, axis.scale)));
  }
  for (const [time, text] of timeMarks(start, end)) {
    plot.append(svg("line", { x1: x(time), x2: x(time), y1: TOP, y2: HEIGHT - BOTTOM, stroke: "#eceff2" }));
    plot.append(svg("text", { x: x(time), y: HEIGHT - 6, "text-anchor": "middle", "font-size": 12, fill: TEXT }, text));
  }
}

function draw(section, series, start, end, step) {
  const threshold = section.dataset.threshold === "" ? null : Number(section.dataset.threshold);
  const lines = series.map(({ metric, values }) => ({ name: nameOf(metric), pieces: pieces(values, step) }));
  const values = lines.flatMap((line) => line.pieces.flat().map(([, value]) => value));
  if (values.length === 0) {
    return note(section, "Nothing to draw: no data in this time.", "nodata");
  }
  const axis = axisOf(values, section.dataset.unit, threshold);
  const x = (time) => Number((LEFT + ((time - start) / (end - start)) * (WIDTH - LEFT - RIGHT)).toFixed(1));
  const y = (value) => Number((TOP + ((axis.to - value) / (axis.to - axis.from)) * (HEIGHT - TOP - BOTTOM)).toFixed(1));
  const lowest = written(values.reduce((a, b) => Math.min(a, b)), axis.scale);
  const highest = written(values.reduce((a, b) => Math.max(a, b)), axis.scale);
  const label = `${section.querySelector("h2").textContent} Plot from ${lowest} to ${highest}; the numbers of now are in the table.`;
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, "font-family": "system-ui, sans-serif" });
  grid(plot, axis, x, y, start, end);
  lines.forEach((line, index) => {
    for (const piece of line.pieces) {
      // A single value is a line of no length, which only a round end shows.
      const points = (piece.length > 1 ? piece : [piece[0], piece[0]]).map(([time, value]) => `${x(time)},${y(value)}`).join(" ");
      plot.append(svg("polyline", { points, "data-series": line.name, "stroke-linecap": "round", ...look(index) }, svg("title", {}, line.name)));
    }
    mark(section, line.name, index);
  });
  section.querySelector(".plot").replaceChildren(plot);
  if (threshold !== null) {
    showThreshold(section, plot, threshold, axis, y);
  }
}

function showThreshold(section, plot, threshold, axis, y) {
  const inside = axis.to >= threshold;
  if (inside) {
    const line = { x1: LEFT, x2: WIDTH - RIGHT, y1: y(threshold), y2: y(threshold), stroke: "#b3261e", "stroke-dasharray": "4 4" };
    plot.append(svg("line", { class: "threshold", ...line }));
  }
  const at = written(threshold, scaleFor(section.dataset.unit, threshold));
  note(section, `Threshold of the alert: ${at}${inside ? " (dashed red line)" : ", outside of this plot"}.`, "note", false);
}

// Shows before the row of a series how its line looks; one that has ended gets a row of its own.
function mark(section, name, index) {
  let row = [...section.querySelectorAll("tr[data-series]")].find((each) => each.dataset.series.trim() === name);
  if (!row) {
    row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.append(name);
    const cell = document.createElement("td");
    cell.append("not now");
    row.append(head, cell);
    const table = section.querySelector("table") || section.appendChild(document.createElement("table"));
    table.append(row);
  }
  const line = svg("line", { x1: 0, x2: 32, y1: 4, y2: 4, ...look(index) });
  row.querySelector("th").prepend(svg("svg", { viewBox: "0 0 32 8", "aria-hidden": "true" }, line));
}

function note(section, text, className, alone = true) {
  const paragraph = document.createElement("p");
  paragraph.className = className;
  paragraph.append(text);
  const plot = section.querySelector(".plot");
  if (alone) {
    plot.replaceChildren(paragraph);
  } else {
    plot.append(paragraph);
  }
}

async function show(section, hours) {
  const step = Math.max(SHORTEST_STEP, Math.ceil((hours * 3600) / POINTS));
  // Whole steps: the same points are asked for again, and a line does not tremble when the page is loaded again.
  const end = Math.floor(Date.now() / 1000 / step) * step;
  const start = end - hours * 3600;
  const asked = new URLSearchParams({ query: section.dataset.query, start, end, step });
  try {
    const response = await fetch(`../api/v1/query_range?${asked}`);
    const answer = await response.json();
    if (answer.status !== "success") {
      throw new Error(answer.error);
    }
    draw(section, answer.data.result, start, end, step);
  } catch (error) {
    note(section, `Not drawn: ${error.message}`, "nodata");
  }
  section.dataset.shown = "yes";
}

function showRanges(hours) {
  const list = document.createElement("ul");
  for (const [each, text] of HOURS) {
    const link = document.createElement("a");
    link.href = `?hours=${each}${location.hash}`;
    link.append(text);
    if (each === hours) {
      link.setAttribute("aria-current", "true");
    }
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  document.getElementById("ranges").append(list);
}

async function main() {
  const hours = hoursAsked();
  showRanges(hours);
  // One after the other: a page should not take all of Prometheus' query slots.
  for (const section of document.querySelectorAll("section[data-query]")) {
    await show(section, hours);
  }
  // The plots have pushed the panel away that the address names.
  if (location.hash) {
    document.getElementById(location.hash.slice(1))?.scrollIntoView();
  }
}

main();
