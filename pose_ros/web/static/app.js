// SPDX-License-Identifier: Apache-2.0
// The page: says over a WebSocket what it shows, takes packets, answers "ready" after each. All text comes from the
// network and is set as text, never as HTML.
import { View3D } from "./view3d.js";

const $ = id => document.getElementById(id);
const meta = name => document.querySelector(`meta[name=${name}]`).content;
const TOKEN = meta("token"), READ_ONLY = Boolean(meta("read-only"));
const LEFT = "#ff8c42", RIGHT = "#4aa8ff", MIDDLE = "#9be564";   // where a skeleton has no colours of its own
const BEGAN = 1, ENDED = 3, EVENT = 4;                           // phases of ActionArray
const LEVELS = ["ok", "warn", "bad", "warn"];                     // of DiagnosticStatus
const MIN_SCORE = 0.3;
const PARTS = ["skeletons", "hands/skeletons", "faces/skeletons"];

const view = new View3D($("space"));
let overview = { topics: {}, services: {}, statuses: [], nodes: [] };
let socket = null, wanted = "";
const infos = new Map(), arrays = new Map(), doing = new Map();
let recent = [], arrivals = [];

// ---- what is wanted

const node = () => $("node").value, below = (kind, name) => (overview.topics[kind] || []).includes(name);

function wants() {
  const keys = [["overview", ""]];
  if (document.hidden) return [];                                 // nobody looks
  if ($("image").value) keys.push(["image", $("image").value]);
  for (const part of PARTS) {
    const topic = `${node()}/${part}`, info = topic.replace(/skeletons$/, "skeleton_info");
    if (below("skeletons", topic)) keys.push(["skeletons", topic]);
    if (below("info", info)) keys.push(["info", info]);
  }
  for (const topic of (overview.topics.actions || []).slice(0, 4)) keys.push(["actions", topic]);
  return keys;
}

function ask() {
  const text = JSON.stringify(wants());
  if (socket?.readyState === WebSocket.OPEN && text !== wanted) { wanted = text; socket.send(text); }
}

function connect() {
  wanted = "";
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket?token=${encodeURIComponent(TOKEN)}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { state("connected", "ok"); ask(); };
  socket.onclose = e => { state(`not connected${e.reason ? `: ${e.reason}` : ""}; trying again`, "bad"); setTimeout(connect, 1000); };
  socket.onmessage = async e => {
    const length = new DataView(e.data).getUint32(0);
    try {
      await take(JSON.parse(new TextDecoder().decode(new Uint8Array(e.data, 4, length))), e.data.slice(4 + length));
    } finally {
      if (socket.readyState === WebSocket.OPEN) socket.send('"ready"');
    }
  };
}

function state(text, kind) { $("connection").textContent = text; $("connection").className = kind; }

// ---- what comes

async function take(message, body) {
  if (message.kind === "overview") { overview = message; showOverview(); ask(); }
  else if (message.kind === "info") { infos.set(message.schema, message); }
  else if (message.kind === "skeletons") { arrays.set(message.topic, message); showSkeletons(); }
  else if (message.kind === "actions") { showActions(message); }
  else if (message.kind === "image" && message.topic === $("image").value) { await showImage(message, body); }
}

async function showImage(message, body) {
  const picture = await createImageBitmap(new Blob([body], { type: message.type })), canvas = $("picture");
  if (canvas.width !== picture.width || canvas.height !== picture.height) { canvas.width = picture.width; canvas.height = picture.height; }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  const now = performance.now();
  arrivals = [...arrivals.filter(t => now - t < 3000), now];
  const rate = arrivals.length > 1 ? (arrivals.length - 1) / (now - arrivals[0]) * 1000 : 0;
  $("image-rate").textContent = `${canvas.width}×${canvas.height}, ${rate.toFixed(1)} Hz` + (message.age_ms === null ? "" : `, ${message.age_ms.toFixed(0)} ms old when sent`);
  $("picture-note").textContent = "";
}

function colors(info, n) {
  if (info?.colors.length === 3 * n) return Array.from({ length: n }, (_, i) => `rgb(${info.colors.slice(3 * i, 3 * i + 3).join(",")})`);
  return Array.from({ length: n }, (_, i) => /left/.test(info?.names[i] || "") ? LEFT : /right/.test(info?.names[i] || "") ? RIGHT : MIDDLE);
}

// Points with z up, x to the right and y away from the viewer, from frames with y down and z ahead (optical ones) or z up.
function upright(values, n, optical, scores) {
  return Array.from({ length: n }, (_, i) => {
    const [x, y, z] = values.slice(3 * i, 3 * i + 3);
    if (x === null || y === null || z === null || (scores[i] ?? 0) < MIN_SCORE) return null;
    return optical ? [x, z, -y] : [x, y, z];
  });
}

function showSkeletons() {
  const shown = [];
  let how = "";
  for (const part of PARTS) {
    const array = arrays.get(`${node()}/${part}`);
    if (!array) continue;
    const info = infos.get(array.schema);
    for (const subject of array.subjects) {
      const n = subject.scores.length, edges = [];
      for (let i = 0; i + 1 < (info?.edges.length || 0); i += 2) edges.push([info.edges[i], info.edges[i + 1]]);
      const known = subject.points.some(v => v !== null);
      const local = !known && subject.local_points.some(v => v !== null);
      // Local points have their own origin: bodies stand beside one another in the order they come; parts would float.
      if (!known && (!local || (part !== PARTS[0] && arrays.get(`${node()}/${PARTS[0]}`)?.subjects.length))) continue;
      const points = upright(known ? subject.points : subject.local_points, n, local || array.optical, subject.scores);
      if (local) { const aside = shown.length; for (const p of points) if (p) p[0] += aside; }
      how = known ? `metres in ${array.frame}` : "shapes only, each around its own origin: nothing is known of their places";
      shown.push({ points, edges, colors: colors(info, n), label: `${subject.label || (subject.side ? `${subject.side} ` : "")}${subject.id || ""}` });
    }
  }
  view.show(shown);
  $("space-note").textContent = shown.length ? how : "nobody in 3D";
  showKeypoints();
}

function showKeypoints() {
  const found = PARTS.flatMap(part => {
    const array = arrays.get(`${node()}/${part}`);
    return (array?.subjects || []).map((subject, i) => ({ array, subject, name: `${part.split("/").slice(0, -1)[0] || "subject"} ${subject.id || i + 1}${subject.side ? ` ${subject.side}` : ""}` }));
  });
  options($("subject"), found.map(f => [f.name, f.name]));
  const one = found.find(f => f.name === $("subject").value), info = one && infos.get(one.array.schema);
  $("schema").textContent = one ? `${one.array.schema}, by ${one.array.model}, score ${fixed(one.subject.score, 2)}` + (one.array.age_ms === null ? "" : `, ${one.array.age_ms.toFixed(0)} ms after the image`) : "nobody is seen";
  rows($("keypoints"), (one?.subject.scores || []).map((score, i) => {
    const at = one.subject.points.slice(3 * i, 3 * i + 3), p = one.subject.keypoints.slice(2 * i, 2 * i + 2);
    return { cells: [info?.names[i] ?? i, fixed(score, 2), fixed(p[0], 1), fixed(p[1], 1), ...[0, 1, 2].map(j => fixed(at[j], 3))], kind: score < MIN_SCORE ? "faint" : "" };
  }));
}

function showActions(message) {
  const now = Date.now();
  for (const action of message.actions) {
    const key = `${message.topic} ${action.id} ${action.recogniser} ${action.name} ${action.side}`;
    const text = `${action.side ? `${action.side} ` : ""}${action.name}${action.count ? ` ×${action.count}` : ""}`;
    const since = doing.get(key)?.since ?? now;
    if (action.phase === EVENT || action.phase === ENDED) { doing.delete(key); recent = [{ key, text, action, since: now }, ...recent.filter(r => r.key !== key)].slice(0, 6); }
    else doing.set(key, { text, action, since, seen: now });
  }
  for (const [key, entry] of doing) if (now - entry.seen > 3000) doing.delete(key);
  const line = (r, over) => ({ cells: [r.action.id, r.text, fixed(r.action.score, 2), `${((now - r.since) / 1000).toFixed(0)} s`, r.action.values.map(([n, u, v]) => `${n} ${fixed(v, 2)} ${u}`).join(", ")], kind: over ? "faint" : "" });
  rows($("actions"), [...[...doing.values()].map(r => line(r, false)), ...recent.map(r => line(r, true))]);
}

function showOverview() {
  const topics = overview.topics.skeletons || [];
  options($("node"), topics.filter(t => !/\/(hands|faces)\/skeletons$/.test(t)).map(t => t.replace(/\/skeletons$/, "")).map(n => [n, n]));
  const images = (overview.topics.image || []), drawn = images.filter(t => t.endsWith("image_annotated/compressed"));
  const own = `${node()}/image_annotated/compressed`;
  const chosen = $("image").value;
  options($("image"), [...drawn, ...images.filter(t => !drawn.includes(t))].map(t => [t, t.replace(/\/compressed$/, "")]), images.includes(own) ? own : undefined);
  if ($("image").value !== chosen) arrivals = [];
  $("picture-note").textContent = !$("image").value ? "no node publishes compressed images" : arrivals.length ? "" : "waiting for images";
  $("actions-note").textContent = (overview.topics.actions || []).length ? "" : "no action_node runs here";
  const told = new Set(overview.statuses.map(s => s.node));
  rows($("nodes"), [
    ...[...overview.statuses].sort((a, b) => a.name.localeCompare(b.name)).map(s => {
      const v = s.values, model = v.model ? `${v.model}${v.device ? ` (${v.device})` : ""}` : "";
      return { cells: [s.name, s.message, v.rate_hz, v.latency_p50_ms, v.latency_p95_ms, v.inference_p50_ms, v.received, v.dropped, v.subjects, model], kind: s.silent ? "faint" : LEVELS[s.level] || "bad" };
    }),
    ...overview.nodes.filter(n => !told.has(n)).map(n => ({ cells: [n, "runs; says nothing of itself"], kind: "faint" })),
  ]);
  const status = overview.statuses.find(s => s.node === node()), services = overview.services[node()] || [];
  $("running").textContent = status?.values.model ? `${status.values.model} on ${status.values.device}` : "?";
  for (const [id, service] of [["switch", "set_model"], ["models", "set_model"], ["resume", "enable"], ["pause", "enable"], ["reset", "reset"]]) {
    $(id).disabled = READ_ONLY || busy || !services.includes(service);
  }
  if (READ_ONLY) answer("this page may only look: the parameter read_only is set", "");
}

// ---- what is touched

let busy = false;

async function call(service, args, doingText) {
  busy = true; answer(`${doingText} …`, "warn"); showOverview();
  try {
    const reply = await fetch("call", { method: "POST", headers: { "X-Token": TOKEN, "Content-Type": "application/json" }, body: JSON.stringify({ node: node(), service, arguments: args }) });
    if (!reply.ok) throw new Error(await reply.text());
    const { ok, message } = await reply.json();
    answer(message, ok ? "ok" : "bad");
  } catch (error) { answer(error.message, "bad"); }
  busy = false; showOverview();
}

function answer(text, kind) { $("answer").textContent = text; $("answer").className = kind; }

async function loadModels() {
  try {
    const reply = await fetch("models", { headers: { "X-Token": TOKEN } });
    if (!reply.ok) throw new Error(await reply.text());
    options($("models"), (await reply.json()).map(m => [m.name, `${m.name} (${m.skeleton})`]));
  } catch (error) { answer(`models: ${error.message}`, "bad"); }
}

// ---- small things

function fixed(value, digits) { return value === null || value === undefined ? "" : value.toFixed(digits); }

// Rows are kept where they are the same in number: a table that is made anew loses what is selected in it.
function rows(body, wanted) {
  while (body.rows.length > wanted.length) body.deleteRow(-1);
  wanted.forEach(({ cells, kind }, i) => {
    const row = body.rows[i] || body.insertRow();
    row.className = kind;
    while (row.cells.length < cells.length) row.insertCell();
    while (row.cells.length > cells.length) row.deleteCell(-1);
    cells.forEach((text, j) => { const t = String(text ?? ""); if (row.cells[j].textContent !== t) row.cells[j].textContent = t; if (t.length > 40) row.cells[j].className = "words"; });
  });
}

function options(select, wanted, preferred) {
  const same = select.options.length === wanted.length && wanted.every(([value], i) => select.options[i].value === value);
  if (same) return;
  const chosen = select.value;
  select.replaceChildren(...wanted.map(([value, text]) => new Option(text, value)));
  const keep = [chosen, preferred].find(v => v && wanted.some(([value]) => value === v));
  if (keep) select.value = keep;
}

$("node").addEventListener("change", () => {
  const own = `${node()}/image_annotated/compressed`;
  if (below("image", own)) { $("image").value = own; arrivals = []; }
  showOverview(); showSkeletons(); ask();
});
$("image").addEventListener("change", () => { arrivals = []; $("picture-note").textContent = "waiting for images"; ask(); });
$("subject").addEventListener("change", showKeypoints);
$("switch").addEventListener("click", () => call("set_model", { model: $("models").value }, `loading ${$("models").value}`));
$("resume").addEventListener("click", () => call("enable", { data: true }, "resuming"));
$("pause").addEventListener("click", () => call("enable", { data: false }, "pausing"));
$("reset").addEventListener("click", () => call("reset", {}, "ending all tracks"));
document.addEventListener("visibilitychange", ask);
loadModels();
connect();
