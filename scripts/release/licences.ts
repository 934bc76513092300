// The licence texts that go with an executable, gathered from where each part comes from: npm packages as they were fetched,
// source archives of the codec libraries, our own LICENSE. Nothing is written from memory but names.
// Role: edge

import type { Recipe } from "../codecs/recipe.ts";
import { readTarGz } from "../codecs/tar.ts";
import { CODEC_LICENCES, RUNTIME_PARTS } from "./parts.ts";
import type { NpmPackage } from "./production.ts";
import { ReleaseFault } from "./steps.ts";

/** One part with the files that state its licence. */
interface LicencePart {
  readonly title: string;
  readonly texts: readonly string[];
}

export interface LicensedPackage extends NpmPackage {
  /** As its package.json names it. */
  readonly licence: string;
  readonly text: string;
}

const RULE = "-".repeat(80);

/** @param cache folder of npm packages that Deno keeps @throws ReleaseFault when a package or its licence file is not there */
export async function readPackageLicences(
  packages: readonly NpmPackage[],
  cache: string,
): Promise<LicensedPackage[]> {
  return await Promise.all(packages.map(async (one) => {
    const folder = await packageFolder(one, cache);
    const { license } = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
    if (typeof license !== "string") throw new ReleaseFault(`${one.name} names no licence`);
    return { ...one, licence: license, text: await licenceFile(folder) };
  }));
}

/** Deno keeps the packages of each registry in a folder of its own. */
async function packageFolder({ name, version }: NpmPackage, cache: string): Promise<string> {
  for await (const registry of Deno.readDir(cache)) {
    const folder = `${cache}/${registry.name}/${name}/${version}`;
    if (await Deno.stat(folder).then(({ isDirectory }) => isDirectory, () => false)) return folder;
  }
  throw new ReleaseFault(`the package ${name}@${version} is not in ${cache}: deno install fetches it`);
}

async function licenceFile(folder: string): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) {
    if (/^licen[cs]e(?:\.\w+)?$/i.test(name)) return await Deno.readTextFile(`${folder}/${name}`);
  }
  throw new ReleaseFault(`no licence file in ${folder}`);
}

/** @param archives source archives of the codec libraries, by SHA-256 */
export async function formatLicenceTexts(
  own: string,
  packages: readonly LicensedPackage[],
  { recipes, archives, deno }: {
    readonly deno: string;
    readonly recipes: readonly Recipe[];
    readonly archives: ReadonlyMap<string, Uint8Array>;
  },
): Promise<string> {
  const parts: LicencePart[] = [
    { title: "siprtmp: GPL-3.0-or-later", texts: [own] },
    ...await codecParts(recipes, archives),
    ...packages.map(({ name, version, licence, text }) => ({
      title: `${name} ${version}: ${licence}`,
      texts: [text],
    })),
    runtimePart(deno),
  ];
  return parts.map(({ title, texts }) =>
    [RULE, title, RULE, "", ...texts.map((text) => text.trim()), ""].join("\n")
  )
    .join("\n");
}

async function codecParts(
  recipes: readonly Recipe[],
  archives: ReadonlyMap<string, Uint8Array>,
): Promise<LicencePart[]> {
  const wanted = new Map(recipes.map(({ archive }) => [archive.sha256, archive]));
  return await Promise.all([...wanted].map(async ([hash, { fileName }]) => {
    const bytes = archives.get(hash);
    if (bytes === undefined) {
      throw new ReleaseFault(`the source archive ${fileName} is missing, and with it its licence`);
    }
    const files = await readTarGz(bytes);
    const texts = ["COPYING", "NOTICE"].flatMap((name) => files.get(name) ?? [])
      .map((text) => new TextDecoder().decode(text));
    if (texts.length === 0) throw new ReleaseFault(`${fileName} has no file COPYING`);
    const name = fileName.replace(/-[\d.]{1,32}\.tar\.gz$/, "");
    const notice = name === "faad2" ? ["Code from FAAD2 is copyright (c) Nero AG, www.nero.com\n"] : [];
    return {
      title: `${fileName.replace(".tar.gz", "")}: ${CODEC_LICENCES[name] ?? "see below"}`,
      texts: [...notice, ...texts],
    };
  }));
}

/** @param deno Deno's own licence, as its package has it */
function runtimePart(deno: string): LicencePart {
  const lines = RUNTIME_PARTS.map(({ name, licence, copyright }) =>
    `${name}: ${licence}; copyright: ${copyright}`
  );
  return {
    title: "The runtime: Deno, and the parts of it that are work of their own",
    texts: [
      lines.join("\n"),
      deno,
      "Every Rust library that Deno is linked with is listed, with its version, in the file Cargo.lock of the Deno release that " +
      "`siprtmp --version` names.",
    ],
  };
}
