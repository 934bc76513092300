// A rule for `deno lint`: no regular expression of the program takes more time than in proportion to its text, and none
// stops at a line separator by mistake. scslre finds the former; it is what eslint-plugin-regexp's rules
// no-super-linear-backtracking and no-super-linear-move stand on.
// Role: edge

import { analyse } from "scslre";

const SLOW: Readonly<Record<"Self" | "Trade" | "Move", string>> = {
  Self: "a repetition can match the same text in several ways: its time grows faster than the text",
  Trade: "two repetitions can share characters: its time grows with the square of the text",
  Move: "it is tried again from each character of a run: its time grows with the square of the text",
};

/** What is wrong with a regular expression, in words for its writer; empty when nothing is. */
export function regexpProblems(pattern: string, flags: string): string[] {
  const problems = new Set(analyse({ source: pattern, flags }).reports.map(({ type }) => SLOW[type]));
  const plain = withoutClasses(pattern);
  if (!flags.includes("s") && plain.includes(".") && plain.indexOf(".") < plain.lastIndexOf("$")) {
    problems.add(
      "`.` before `$` does not match U+2028, U+2029, CR and LF: add the flag s or say what is meant",
    );
  }
  return [...problems];
}

/** Without escapes and classes, where a full stop or a dollar is itself. */
function withoutClasses(pattern: string): string {
  return pattern.replace(/\\./gs, "_").replace(/\[[^\]]*/g, "_");
}

const ROOT = new URL("..", import.meta.url).pathname;

/** What runs, not what tries it. */
const PROGRAM = /^(?:lib\/|scripts\/|main\.ts$)/;

/** For `lint.plugins` of deno.json, which takes a default export. */
const plugin: Deno.lint.Plugin = {
  name: "regexps",
  rules: {
    linear: {
      create: (context) => ({
        Literal(node) {
          if (!("regex" in node) || node.regex === undefined || !isProgram(context.filename)) return;
          for (const message of regexpProblems(node.regex.pattern, node.regex.flags)) {
            context.report({ node, message });
          }
        },
      }),
    },
  },
};

export default plugin;

function isProgram(file: string): boolean {
  const path = file.startsWith(ROOT) ? file.slice(ROOT.length) : file;
  return PROGRAM.test(path);
}
