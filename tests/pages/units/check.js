// The least a unit test needs. A file exports `tests`: {name: function}; `run` answers {name: what went wrong or ""}.

export function same(got, wanted, what = "") {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what} got ${a}, wanted ${b}`);
}

export function ok(value, what = "") {
  if (!value) throw new Error(`not so: ${what}`);
}

export async function run(file) {
  const { tests } = await import(`/units/${file}`);
  const results = {};
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      results[name] = "";
    } catch (error) {
      results[name] = String(error.stack ?? error);
    }
  }
  return results;
}
