// fast-check generators of AMF values, for the codec tests.

import fc from "fast-check";
import {
  AmfDictionary,
  AmfEcmaArray,
  type AmfObject,
  AmfTypedObject,
  type AmfValue,
  AmfVector,
  AmfXml,
  setProperty,
} from "../../lib/amf/value.ts";

const text = (): fc.Arbitrary<string> => fc.string({ unit: "grapheme", maxLength: 12 });

function objectOf(pairs: [string, AmfValue][]): AmfObject {
  const object: AmfObject = {};
  for (const [name, value] of pairs) setProperty(object, name, value);
  return object;
}

/** Any tree of values that both encodings can carry. */
export function amfValue(): fc.Arbitrary<AmfValue> {
  const leaf = fc.oneof<fc.Arbitrary<AmfValue>[]>(
    fc.constantFrom<AmfValue>(
      null,
      undefined,
      true,
      false,
      0,
      -0,
      NaN,
      268435455,
      268435456,
      -268435456,
      -268435457,
    ),
    fc.double(),
    fc.integer(),
    text(),
    fc.date({ noInvalidDate: false }),
    fc.uint8Array({ maxLength: 20 }),
    text().map((content) => new AmfXml(content, "document")),
    text().map((content) => new AmfXml(content, "e4x")),
    fc.array(fc.integer(), { maxLength: 4 }).map((items) => new AmfVector("int", items, true)),
    fc.array(fc.double(), { maxLength: 4 }).map((items) => new AmfVector("double", items)),
  );
  const { tree } = fc.letrec<{ tree: AmfValue }>((tie) => {
    const members = fc.array(fc.tuple(text(), tie("tree")), { maxLength: 4 }).map(objectOf);
    const named = fc.array(fc.tuple(text().map((name) => `k${name}`), tie("tree")), {
      minLength: 1,
      maxLength: 4,
    })
      .map(objectOf);
    const list = fc.array(tie("tree"), { maxLength: 4 });
    return {
      tree: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        leaf,
        members,
        list,
        fc.tuple(text(), members).map(([name, object]) => new AmfTypedObject(`C${name}`, object)),
        fc.tuple(named, list).map(([object, dense]) => new AmfEcmaArray(object, dense)),
        list.map((items) => new AmfVector("object", items, false, "*")),
        fc.array(fc.tuple(tie("tree"), tie("tree")), { maxLength: 3 }).map((pairs) =>
          new AmfDictionary(pairs)
        ),
      ),
    };
  });
  return tree;
}

/** A value that contains itself, and one of its parts three times. */
export function cyclicValue(): AmfValue {
  const shared: AmfObject = { name: "shared" };
  const list: AmfValue[] = [shared, shared, new AmfEcmaArray({ again: shared })];
  list.push(list);
  return list;
}
