// Shows openapi.json as a page. Text only ever becomes text (textContent), never markup.
"use strict";

function make(tag, text, ...children) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

function refName(ref) {
  return ref.split("/").pop();
}

// A schema in one line: its name, or what it is made of.
function brief(schema) {
  if (!schema || Object.keys(schema).length === 0) return "any";
  if (schema.$ref) return refName(schema.$ref);
  if (schema.allOf) return schema.allOf.map(brief).join(" & ");
  if (schema.anyOf) return schema.anyOf.map(brief).join(" | ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") {
    return schema.prefixItems ? `[${schema.prefixItems.map(brief).join(", ")}]` : `${brief(schema.items)}[]`;
  }
  if (schema.type === "object" && schema.additionalProperties) return `{…: ${brief(schema.additionalProperties)}}`;
  return schema.type || "any";
}

function limits(schema) {
  const names = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "default"];
  return names.filter((name) => name in schema).map((name) => `${name} ${JSON.stringify(schema[name])}`).join(", ");
}

function row(...cells) {
  return make("tr", "", ...cells.map((cell) => (cell instanceof Node ? make("td", "", cell) : make("td", cell))));
}

// The fields of a type, and below it the types they name, each once.
function typeTable(schema, all, seen) {
  const box = make("div");
  const name = schema.$ref ? refName(schema.$ref) : "";
  const known = name ? all[name] : schema;
  if (!known || seen.has(name)) return box;
  if (name) seen.add(name);
  if (known.properties) {
    if (name) box.append(make("h4", name));
    if (known.description) box.append(make("p", known.description));
    const required = new Set(known.required || []);
    const body = make("tbody");
    for (const [field, kind] of Object.entries(known.properties)) {
      const note = [kind.description, limits(kind)].filter(Boolean).join(" — ");
      body.append(row(make("code", required.has(field) ? field : `${field}?`), brief(kind), note));
    }
    box.append(make("table", "", body));
  }
  for (const named of references(known)) box.append(typeTable({ $ref: named }, all, seen));
  return box;
}

function references(schema) {
  const found = new Set();
  JSON.stringify(schema, (key, value) => {
    if (key === "$ref") found.add(value);
    return value;
  });
  return found;
}

function operation(path, method, route, spec) {
  const all = spec.components.schemas;
  const inside = make("div");
  inside.className = "inside";
  const head = make("summary", "", make("b", method.toUpperCase()), make("code", path), make("span", ` ${route.summary}`));
  const details = make("details", "", head);
  details.id = route.operationId;
  if (route.description) inside.append(make("p", route.description));
  const who = route["x-roles"] ? route["x-roles"].join(" · ") : "不需要令牌 no token";
  const roles = make("p", `角色 Roles: ${who}`);
  roles.className = "roles";
  inside.append(roles);
  const body = make("tbody");
  for (let one of route.parameters) {
    if (one.$ref) one = spec.components.parameters[refName(one.$ref)];
    body.append(row(make("code", one.required ? one.name : `${one.name}?`), one.in, brief(one.schema), one.description || ""));
  }
  if (body.children.length) inside.append(make("h3", "参数 Parameters"), make("table", "", body));
  const content = route.requestBody && route.requestBody.content["application/json"];
  if (content) {
    inside.append(make("h3", "请求 Body"), typeTable(content.schema, all, new Set()));
    if (content.example) inside.append(make("pre", JSON.stringify(content.example, null, 2)));
  }
  inside.append(make("h3", "应答 Answers"));
  const seen = new Set(["Problem"]);
  for (const [status, answer] of Object.entries(route.responses)) {
    inside.append(make("p", `${status} — ${answer.description}`));
    for (const one of Object.values(answer.content || {})) {
      inside.append(typeTable(one.schema, all, seen));
      if (one.example) inside.append(make("pre", JSON.stringify(one.example, null, 2)));
    }
  }
  details.append(inside);
  return details;
}

function show(spec) {
  const main = document.getElementById("routes");
  const tags = document.getElementById("tags");
  main.replaceChildren();
  for (const { name } of spec.tags) {
    const link = make("a", name);
    link.href = `#tag-${name}`;
    tags.append(link);
    const section = make("section", "", make("h2", name));
    section.id = `tag-${name}`;
    for (const [path, methods] of Object.entries(spec.paths)) {
      for (const [method, route] of Object.entries(methods)) {
        if (route.tags.includes(name)) section.append(operation(path, method, route, spec));
      }
    }
    main.append(section);
  }
}

document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const section of document.querySelectorAll("main section")) {
    let any = false;
    for (const details of section.querySelectorAll("details")) {
      const fits = details.querySelector("summary").textContent.toLowerCase().includes(wanted);
      details.hidden = !fits;
      any = any || fits;
    }
    section.hidden = !any;
  }
});

fetch("/openapi.json")
  .then((response) => {
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return response.json();
  })
  .then(show)
  .catch((error) => {
    document.getElementById("routes").replaceChildren(make("p", `读取失败 Could not be loaded: ${error.message}`));
  });
