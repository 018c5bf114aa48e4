"use strict";
/* Runs in the report: sorts the table of layers, and runs the network, compiled to WebAssembly, on what is put in. */

/* Tables: a click on a heading sorts by its column, numbers by their value, a second click the other way. */
for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
        const heading = button.parentElement, body = heading.closest("table").tBodies[0];
        const column = [...heading.parentElement.children].indexOf(heading);
        const down = heading.getAttribute("aria-sort") === "ascending";
        const key = row => row.children[column].dataset.value ?? row.children[column].textContent.trim();
        const order = (a, b) => {
            const x = key(a), y = key(b);
            const both = x !== "" && y !== "" && isFinite(x) && isFinite(y);
            return both ? x - y : x.localeCompare(y);
        };
        const rows = [...body.rows].sort((a, b) => down ? order(b, a) : order(a, b));
        for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        body.append(...rows);
    });
}

const ARRAYS = { uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array };
const bytesOf = text => Uint8Array.from(atob(text), one => one.charCodeAt(0));
const count = shape => shape.reduce((product, size) => product * size, 1);

/* The network: integers in, integers out, as the generated C computes them. */
class Network {
    constructor(known, exports) {
        this.known = known;
        this.exports = exports;
    }

    static async open(known) {
        const { instance } = await WebAssembly.instantiate(bytesOf(known.module), {});
        return new Network(known, instance.exports);
    }

    call(name, ...values) {
        return this.exports[this.known.prefix + name](...values);
    }

    view(tensor) {
        const place = this.call(tensor.function);
        return new ARRAYS[tensor.type](this.exports.memory.buffer, place, count(tensor.shape));
    }

    /* Nearest integers (half up), saturated, as Format.quantize of the reference. */
    quantize(tensor, real) {
        const { steps, zeros, low, high } = tensor;
        return ARRAYS[tensor.type].from(real, (x, i) => {
            const q = Math.floor(x / steps[i % steps.length] + 0.5) + zeros[i % zeros.length];
            return Math.min(Math.max(q, low), high);
        });
    }

    dequantize(tensor, integers) {
        const { steps, zeros } = tensor;
        return Array.from(integers, (q, i) => (q - zeros[i % zeros.length]) * steps[i % steps.length]);
    }

    /* Integer outputs for integer inputs, an array for each. */
    run(inputs) {
        const { known } = this;
        if (known.resets) this.call("reset");
        known.inputs.forEach((tensor, i) => this.view(tensor).set(inputs[i]));
        const ends = [...known.inputs, ...known.outputs];
        const status = this.call("invoke", ...ends.map(tensor => this.call(tensor.function)));
        if (status !== 0) throw new Error(`the network returns ${status}`);
        return known.outputs.map(tensor => this.view(tensor).slice());
    }

    /* The same for real inputs. */
    runReal(inputs) {
        return this.run(inputs.map((real, i) => this.quantize(this.known.inputs[i], real)));
    }
}

/* A .wav file: its samples from -1 to 1, channels averaged. */
function wav(buffer) {
    const view = new DataView(buffer);
    const word = place => String.fromCharCode(...new Uint8Array(buffer, place, 4));
    if (buffer.byteLength < 44 || word(0) !== "RIFF" || word(8) !== "WAVE") throw new Error("not a WAV file");
    let format = null;
    for (let place = 12; place + 8 <= buffer.byteLength;) {
        const size = view.getUint32(place + 4, true), start = place + 8;
        if (word(place) === "fmt ") {
            format = { kind: view.getUint16(start, true), channels: view.getUint16(start + 2, true), bits: view.getUint16(start + 14, true) };
            if (format.kind === 0xfffe) format.kind = view.getUint16(start + 24, true);
        } else if (word(place) === "data" && format) {
            const step = format.bits / 8, frame = step * format.channels;
            const frames = Math.floor(Math.min(size, buffer.byteLength - start) / frame);
            const readers = {
                "1/8": p => (view.getUint8(p) - 128) / 128, "1/16": p => view.getInt16(p, true) / 32768,
                "1/24": p => (view.getUint16(p, true) + view.getInt8(p + 2) * 65536) / 8388608,
                "1/32": p => view.getInt32(p, true) / 2147483648, "3/32": p => view.getFloat32(p, true),
            };
            const read = readers[`${format.kind}/${format.bits}`];
            if (!read) throw new Error(`WAV of kind ${format.kind} with ${format.bits} bits is not supported`);
            return Float64Array.from({ length: frames }, (_, i) => {
                let sum = 0;
                for (let c = 0; c < format.channels; c++) sum += read(start + i * frame + c * step);
                return sum / format.channels;
            });
        }
        place = start + size + size % 2;
    }
    throw new Error("a WAV file without samples");
}

/* What is put in, and what comes out. */
class Trial {
    constructor(network, section) {
        this.network = network;
        this.known = network.known;
        this.find = name => section.querySelector(`[data-part="${name}"]`);
        this.canvas = this.find("canvas");
        this.result = this.find("result");
        if (this.canvas) this.prepareDrawing();
        for (const button of section.querySelectorAll("[data-sample]"))
            button.addEventListener("click", () => this.sample(Number(button.dataset.sample)));
        this.find("run").addEventListener("click", () => this.text(this.find("numbers").value));
        this.find("file").addEventListener("change", event => this.file(event.target.files[0]));
        section.addEventListener("dragover", event => event.preventDefault());
        section.addEventListener("drop", event => {
            event.preventDefault();
            this.file(event.dataTransfer.files[0]);
        });
        section.hidden = false;
    }

    /* Integers of one of the samples in the page. */
    sample(number) {
        const { inputs, label } = this.known.samples[number];
        const integers = inputs.map((text, i) => new ARRAYS[this.known.inputs[i].type](bytesOf(text).buffer));
        if (this.canvas) this.paint(this.network.dequantize(this.known.inputs[0], integers[0]));
        this.show(integers, label === null ? `sample ${number}` : `sample ${number}, labelled ${label}`);
    }

    text(line) {
        try {
            const words = line.trim().split(/[\s,;]+/).filter(word => word !== ""), values = words.map(Number);
            const wrong = words.find((_, i) => !isFinite(values[i]));
            if (wrong !== undefined) throw new Error(`"${wrong.slice(0, 20)}" is not a number`);
            const sizes = this.known.inputs.map(tensor => count(tensor.shape));
            const all = sizes.reduce((sum, size) => sum + size, 0);
            if (values.length !== all) throw new Error(`${values.length} numbers, the network takes ${all}`);
            let start = 0;
            const parts = sizes.map(size => values.slice(start, start += size));
            this.real(parts, "the row of numbers");
        } catch (error) {
            this.fail(error);
        }
    }

    async file(file) {
        if (!file) return;
        try {
            if (/\.wav$/i.test(file.name)) this.sound(wav(await file.arrayBuffer()), file.name);
            else if (this.canvas && file.type.startsWith("image/")) await this.image(file);
            else this.text(await file.text());
        } catch (error) {
            this.fail(error);
        }
    }

    /* The loudest part of a sound that is longer than the input. */
    sound(values, name) {
        const [tensor] = this.known.inputs, size = count(tensor.shape), [low, high] = tensor.range;
        let best = 0, most = -1;
        for (let start = 0; start + size <= values.length; start += Math.max(1, size >> 3)) {
            const energy = values.subarray(start, start + size).reduce((sum, x) => sum + x * x, 0);
            if (energy > most) [best, most] = [start, energy];
        }
        const scale = Math.max(-low, high) > 2 ? 32768 : 1;
        const real = Array.from({ length: size }, (_, i) => scale * (values[best + i] ?? 0));
        this.real([real], `${name}, from sample ${best} on`);
    }

    async image(file) {
        const picture = await createImageBitmap(file), pen = this.canvas.getContext("2d");
        const { width, height } = this.canvas;
        pen.imageSmoothingQuality = "high";
        pen.drawImage(picture, 0, 0, width, height);
        this.drawn();
    }

    prepareDrawing() {
        const { canvas } = this, pen = canvas.getContext("2d", { willReadFrequently: true });
        let last = null;
        const place = event => {
            const box = canvas.getBoundingClientRect();
            return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
        };
        const clear = () => {
            pen.fillStyle = "#000";
            pen.fillRect(0, 0, canvas.width, canvas.height);
        };
        clear();
        this.find("clear").addEventListener("click", () => {
            clear();
            this.drawn();
        });
        this.find("invert").addEventListener("change", () => this.drawn());
        canvas.addEventListener("pointerdown", event => {
            canvas.setPointerCapture(event.pointerId);
            last = place(event);
        });
        canvas.addEventListener("pointermove", event => {
            if (!last) return;
            const next = place(event);
            Object.assign(pen, { strokeStyle: "#fff", lineCap: "round", lineWidth: canvas.width / 11 });
            pen.beginPath();
            pen.moveTo(...last);
            pen.lineTo(...next);
            pen.stroke();
            last = next;
        });
        for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => {
            last = null;
            this.drawn();
        });
    }

    /* The canvas as an input: mean colours of its cells, 0 to 255 over the range of the network's samples. */
    drawn() {
        const [tensor] = this.known.inputs, [height, width, channels] = tensor.shape, [low, high] = tensor.range;
        const { data } = this.canvas.getContext("2d").getImageData(0, 0, this.canvas.width, this.canvas.height);
        const across = this.canvas.width / width, down = this.canvas.height / height, real = [];
        const invert = this.find("invert").checked;
        for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
            const sum = [0, 0, 0];
            let cells = 0;
            for (let v = Math.floor(y * down); v < Math.max(Math.floor((y + 1) * down), Math.floor(y * down) + 1); v++)
                for (let u = Math.floor(x * across); u < Math.max(Math.floor((x + 1) * across), Math.floor(x * across) + 1); u++, cells++)
                    for (let c = 0; c < 3; c++) sum[c] += data[4 * (v * this.canvas.width + u) + c];
            const [red, green, blue] = sum.map(one => invert ? 255 - one / cells : one / cells);
            const pixel = channels === 3 ? [red, green, blue] : [0.299 * red + 0.587 * green + 0.114 * blue];
            real.push(...pixel.map(one => low + one / 255 * (high - low)));
        }
        this.real([real], "the picture");
    }

    /* The picture of real values on the canvas. */
    paint(real) {
        const [tensor] = this.known.inputs, [height, width, channels] = tensor.shape, [low, high] = tensor.range;
        const pen = this.canvas.getContext("2d"), across = this.canvas.width / width, down = this.canvas.height / height;
        const shade = i => Math.round(255 * Math.min(Math.max((real[i] - low) / (high - low), 0), 1));
        for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
            const i = channels * (y * width + x);
            pen.fillStyle = `rgb(${shade(i)}, ${shade(channels === 3 ? i + 1 : i)}, ${shade(channels === 3 ? i + 2 : i)})`;
            pen.fillRect(Math.floor(x * across), Math.floor(y * down), Math.ceil(across), Math.ceil(down));
        }
    }

    real(parts, what) {
        this.show(parts.map((real, i) => this.network.quantize(this.known.inputs[i], real)), what);
    }

    show(integers, what) {
        const start = performance.now(), outputs = this.network.run(integers), time = performance.now() - start;
        this.find("told").textContent = `For ${what}, in ${time.toFixed(1)} ms here:`;
        this.result.replaceChildren(...this.known.outputs.flatMap((tensor, i) => this.lines(tensor, outputs[i], integers)));
    }

    /* The largest values of an output of classes, the first of others. */
    lines(tensor, integers, inputs) {
        const real = this.network.dequantize(tensor, integers), classes = this.known.task === "classification";
        const order = real.map((_, i) => i);
        if (classes && real.length > 1) order.sort((a, b) => real[b] - real[a] || a - b);
        const largest = Math.max(...real.map(Math.abs), 1e-9);
        const rows = order.slice(0, 10).map(i => {
            const row = document.createElement("tr");
            for (const text of [classes && real.length > 1 ? `class ${i}` : `${tensor.name} ${i}`, real[i].toPrecision(4), integers[i]])
                row.append(Object.assign(document.createElement("td"), { textContent: text, className: "n" }));
            const bar = Object.assign(document.createElement("div"), { className: "bar good" });
            bar.style.width = `${(100 * Math.abs(real[i]) / largest).toFixed(1)}%`;
            const cell = Object.assign(document.createElement("td"), { className: "wide-bar" });
            cell.append(bar);
            row.append(cell);
            return row;
        });
        if (this.known.task === "reconstruction" && tensor === this.known.outputs[0]) {
            const wanted = this.network.dequantize(this.known.inputs[0], inputs[0]);
            const error = Math.sqrt(real.reduce((sum, x, i) => sum + (x - wanted[i]) ** 2, 0) / real.length);
            const row = document.createElement("tr");
            row.append(Object.assign(document.createElement("td"), { textContent: `RMSE against the input ${error.toPrecision(4)}`, colSpan: 4 }));
            rows.unshift(row);
        }
        return rows;
    }

    fail(error) {
        this.find("told").textContent = `Error: ${error.message}.`;
        this.result.replaceChildren();
    }
}

const embedded = document.getElementById("network");
globalThis.ggdqNetwork = embedded ? Network.open(JSON.parse(embedded.textContent)) : Promise.resolve(null);
globalThis.ggdqNetwork.then(network => network && new Trial(network, document.getElementById("try")), error => {
    document.getElementById("try-failed").textContent = `The network cannot run in this browser: ${error.message}.`;
});
