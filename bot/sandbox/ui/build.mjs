// Writes ../static: the page as it is shipped. The same sources give the same bytes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "static");
const drawn = /slack-blocks-to-jsx[\\/]dist[\\/](index\.mjs|style\.css)$/;

const fourColours = 'rgb(38, 59, 156)","rgb(16, 111, 77)","rgb(217, 76, 117)"]';
const sixColours = fourColours.replace("]", ',"rgb(23, 132, 158)","rgb(122, 122, 130)"]');

// The library gives every message the same id, and hangs its style on it. An id may stand once in a
// page, so here it becomes an attribute. It also offers a link to Slack's site, which the page never shows.
// Its charts have four colours, and a pie up to six parts: the fifth would look like the first.
const mended = {
  name: "mended",
  setup(build) {
    build.onLoad({ filter: drawn }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const css = path.endsWith(".css");
      const contents = css
        ? text.replaceAll("#slack_blocks_to_jsx", "[data-drawn]")
        : text.replaceAll('id:"slack_blocks_to_jsx"', '"data-drawn":""').replace(fourColours, sixColours);
      if (contents === text) throw new Error(`${path} has changed its id: see mended in build.mjs`);
      if (!css && !contents.includes(sixColours)) throw new Error(`${path} has changed its colours: see mended in build.mjs`);
      return { contents, loader: css ? "css" : "js" };
    });
  },
};

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesUnder(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");

// tests/sandbox/test_ui_is_fresh.py computes the same without Node.
function sourceHash() {
  const single = ["build.mjs", "package.json", "package-lock.json", "tsconfig.json"].map((name) => join(here, name));
  const lines = [...single, ...filesUnder(join(here, "src"))]
    .map((path) => [relative(here, path).split(sep).join("/"), sha(readFileSync(path))])
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, hash]) => `${name} ${hash}\n`);
  return sha(lines.join(""));
}

function licences(metafile) {
  const names = new Set();
  for (const path of Object.keys(metafile.inputs)) {
    const match = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (match) names.add(match[0].slice(0, -1));
  }
  const entries = [...names].sort().map((folder) => {
    const about = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
    const file = readdirSync(join(here, folder)).sort().find((name) => /^licen[cs]e/i.test(name));
    const text = file ? readFileSync(join(here, folder, file), "utf8").trim() : "(no licence text in the package)";
    return `${about.name} ${about.version} · ${about.license ?? "?"}\n\n${text.replace(/\r\n/g, "\n")}\n`;
  });
  return `The page contains these libraries.\n\n${entries.join(`\n${"-".repeat(72)}\n\n`)}`;
}

const result = await esbuild.build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome110", "firefox115", "safari16"],
  jsx: "automatic",
  legalComments: "none",
  charset: "utf8",
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [mended],
  metafile: true,
  write: false,
});

if (existsSync(out)) rmSync(out, { recursive: true });
mkdirSync(out, { recursive: true });
const built = new Map(result.outputFiles.map((file) => [relative(out, file.path), Buffer.from(file.contents)]));
const tag = (name) => sha(built.get(name)).slice(0, 12);
built.set(
  "index.html",
  Buffer.from(
    readFileSync(join(here, "src", "index.html"), "utf8")
      .replace("/static/app.js", `/static/app.js?${tag("app.js")}`)
      .replace("/static/app.css", `/static/app.css?${tag("app.css")}`),
  ),
);
built.set("LICENSES.txt", Buffer.from(licences(result.metafile)));
for (const [name, bytes] of built) writeFileSync(join(out, name), bytes);
const files = Object.fromEntries([...built].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, bytes]) => [name, sha(bytes)]));
writeFileSync(join(out, "BUILD.json"), `${JSON.stringify({ sources: sourceHash(), files }, null, 1)}\n`);
for (const [name, bytes] of built) console.log(`${name} ${(bytes.length / 1000).toFixed(0)} kB`);
