// SPDX-License-Identifier: Apache-2.0
// Skeletons in 3D on a plain canvas: a few hundred lines and dots need no graphics card.

const GROUND_M = 0.5;      // between two lines of the ground
const NEAR = 0.05;         // what is nearer to the eye is not drawn, in view distances

export class View3D {
  constructor(canvas) {
    this.canvas = canvas;
    this.lines = []; this.dots = []; this.middle = [0, 0, 0]; this.size = 1; this.ground = 0;
    this.front();
    let last = null;
    canvas.addEventListener("pointerdown", e => { last = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener("pointerup", () => { last = null; });
    canvas.addEventListener("pointermove", e => {
      if (!last) return;
      this.turn -= (e.clientX - last[0]) * 0.01;
      this.tilt = Math.max(-1.55, Math.min(1.55, this.tilt + (e.clientY - last[1]) * 0.01));
      last = [e.clientX, e.clientY];
      this.draw();
    });
    canvas.addEventListener("wheel", e => {
      e.preventDefault();
      this.zoom = Math.max(0.2, Math.min(10, this.zoom * Math.exp(-e.deltaY * 0.001)));
      this.draw();
    }, { passive: false });
    canvas.addEventListener("dblclick", () => { this.front(); this.draw(); });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  front() { this.turn = 0.5; this.tilt = 0.2; this.zoom = 1; }

  // subjects: [{points: [[x, y, z] | null], colors: [css], edges: [[a, b]], label}] with z up; x to the right and y away.
  show(subjects) {
    const all = subjects.flatMap(s => s.points.filter(p => p));
    this.subjects = subjects;
    if (all.length) {
      const low = [0, 1, 2].map(i => Math.min(...all.map(p => p[i]))), high = [0, 1, 2].map(i => Math.max(...all.map(p => p[i])));
      const middle = low.map((v, i) => (v + high[i]) / 2), size = Math.max(0.3, Math.hypot(...high.map((v, i) => v - low[i])));
      // Calmly: a view that jumps with every frame makes people sick. A jump of everything is followed at once.
      const far = !this.seen || Math.hypot(...middle.map((v, i) => v - this.middle[i])) > 2 * this.size;
      const share = far ? 1 : 0.1;
      this.middle = this.middle.map((v, i) => v + share * (middle[i] - v));
      this.size += share * (size - this.size);
      this.ground += share * (low[2] - this.ground);
      this.seen = true;
    }
    this.draw();
  }

  // Screen x and y, and the distance from the eye; null behind it.
  project(p) {
    const [x, y, z] = p.map((v, i) => v - this.middle[i]);
    const c = Math.cos(this.turn), s = Math.sin(this.turn), ct = Math.cos(this.tilt), st = Math.sin(this.tilt);
    const right = c * x + s * y, away = -s * x + c * y;
    const up = ct * z + st * away, depth = ct * away - st * z;
    const eye = 2.2 * this.size / this.zoom, far = eye + depth;
    if (far < NEAR * eye) return null;
    const scale = Math.min(this.canvas.width, this.canvas.height) * 1.6 / far;
    return [this.canvas.width / 2 + right * scale, this.canvas.height / 2 - up * scale, far];
  }

  draw() {
    const canvas = this.canvas, ratio = window.devicePixelRatio || 1;
    const wide = Math.round(canvas.clientWidth * ratio), high = Math.round(canvas.clientHeight * ratio);
    if (wide && (canvas.width !== wide || canvas.height !== high)) { canvas.width = wide; canvas.height = high; }
    const c = canvas.getContext("2d");
    c.clearRect(0, 0, canvas.width, canvas.height);
    this.drawGround(c, ratio);
    const items = [];
    for (const subject of this.subjects || []) {
      const places = subject.points.map(p => p && this.project(p));
      for (const [a, b] of subject.edges) {
        if (places[a] && places[b]) items.push({ far: (places[a][2] + places[b][2]) / 2, from: places[a], to: places[b], color: subject.colors[b] });
      }
      places.forEach((p, i) => { if (p) items.push({ far: p[2] - 0.001, at: p, color: subject.colors[i] }); });
      const top = places.filter(p => p).sort((a, b) => a[1] - b[1])[0];
      if (top) items.push({ far: 0, text: subject.label, at: top });
    }
    items.sort((a, b) => b.far - a.far);   // the nearest last
    c.lineCap = "round";
    for (const item of items) {
      const near = Math.max(0.6, Math.min(2, 2.2 * this.size / this.zoom / (item.far || 1)));
      if (item.text !== undefined) {
        c.fillStyle = "#e8edf2"; c.font = `${12 * ratio}px sans-serif`;
        c.fillText(item.text, item.at[0] + 6 * ratio, item.at[1] - 8 * ratio);
      } else if (item.from) {
        c.strokeStyle = item.color; c.lineWidth = 3 * ratio * near;
        c.beginPath(); c.moveTo(item.from[0], item.from[1]); c.lineTo(item.to[0], item.to[1]); c.stroke();
      } else {
        c.fillStyle = item.color;
        c.beginPath(); c.arc(item.at[0], item.at[1], 2.5 * ratio * near, 0, 7); c.fill();
      }
    }
  }

  drawGround(c, ratio) {
    const step = this.size > 1 ? GROUND_M : GROUND_M / 5, n = Math.min(20, Math.ceil(1.2 * this.size / step));
    const x0 = Math.round(this.middle[0] / step), y0 = Math.round(this.middle[1] / step);
    c.strokeStyle = "#2a333d"; c.lineWidth = ratio;
    for (let i = -n; i <= n; i++) {
      for (const [a, b] of [[[x0 + i, y0 - n], [x0 + i, y0 + n]], [[x0 - n, y0 + i], [x0 + n, y0 + i]]]) {
        const from = this.project([a[0] * step, a[1] * step, this.ground]), to = this.project([b[0] * step, b[1] * step, this.ground]);
        if (from && to) { c.beginPath(); c.moveTo(from[0], from[1]); c.lineTo(to[0], to[1]); c.stroke(); }
      }
    }
  }
}
