/* The pens of the diagram: the same calls draw on a canvas or write an SVG file. */

const round = (value) => Number(value.toFixed(2));

export class CanvasPen {
  constructor(context, width, height) {
    Object.assign(this, { context, width, height });
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.imageSmoothingEnabled = false;
  }

  clear(color) {
    this.context.globalAlpha = 1;
    this.context.fillStyle = color;
    this.context.fillRect(0, 0, this.width, this.height);
  }

  line(x1, y1, x2, y2, color, thickness, alpha) {
    const { context } = this;
    context.globalAlpha = alpha;
    context.strokeStyle = color;
    context.lineWidth = thickness;
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
  }

  picture(canvas, x, y, width, height, alpha) {
    this.context.globalAlpha = alpha;
    this.context.drawImage(canvas, x, y, width, height);
  }

  box(x, y, width, height, color, alpha) {
    this.context.globalAlpha = alpha;
    this.context.fillStyle = color;
    this.context.fillRect(x, y, width, height);
  }

  frame(x, y, width, height, color, thickness, alpha = 1) {
    this.context.globalAlpha = alpha;
    this.context.strokeStyle = color;
    this.context.lineWidth = thickness;
    this.context.strokeRect(x, y, width, height);
  }

  dot(x, y, radius, color, alpha, outline) {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.globalAlpha = alpha;
    context.fillStyle = color;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = outline;
    context.lineWidth = 1;
    context.stroke();
  }

  words(text, x, y, color) {
    this.context.globalAlpha = 1;
    this.context.fillStyle = color;
    this.context.fillText(text, x, y);
  }
}

export class SvgPen {
  constructor(width, height) {
    Object.assign(this, { width, height, parts: [] });
  }

  add(tag, attributes, text = "") {
    const written = Object.entries(attributes).map(([name, value]) => `${name}="${typeof value === "number" ? round(value) : value}"`);
    this.parts.push(`<${tag} ${written.join(" ")}>${text}</${tag}>`);
  }

  clear(color) {
    this.add("rect", { width: this.width, height: this.height, fill: color });
  }

  line(x1, y1, x2, y2, color, thickness, alpha) {
    this.add("line", { x1, y1, x2, y2, stroke: color, "stroke-width": thickness, "stroke-opacity": alpha });
  }

  picture(canvas, x, y, width, height, alpha) {
    const style = "image-rendering: pixelated";
    this.add("image", { href: canvas.toDataURL(), x, y, width, height, opacity: alpha, preserveAspectRatio: "none", style });
  }

  box(x, y, width, height, color, alpha) {
    this.add("rect", { x, y, width, height, fill: color, "fill-opacity": alpha });
  }

  frame(x, y, width, height, color, thickness, alpha = 1) {
    this.add("rect", { x, y, width, height, fill: "none", stroke: color, "stroke-width": thickness, "stroke-opacity": alpha });
  }

  dot(cx, cy, r, color, alpha, outline) {
    this.add("circle", { cx, cy, r, fill: color, "fill-opacity": alpha, stroke: outline });
  }

  words(text, x, y, color) {
    const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    this.add("text", { x, y, fill: color, "font-size": 11, "font-family": "sans-serif", "text-anchor": "middle" }, escaped);
  }

  text() {
    const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.width} ${this.height}" width="${this.width}" height="${this.height}">`;
    return `${head}\n${this.parts.join("\n")}\n</svg>\n`;
  }
}
