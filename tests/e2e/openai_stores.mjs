// Files and vector stores through the unmodified official Node client.
// usage: node openai_stores.mjs FOLDER_OF_THE_CLIENT URL KEY; prints what it saw as JSON.
import { createRequire } from "node:module";

const [folder, url, apiKey] = process.argv.slice(2);
const { OpenAI, toFile } = createRequire(`${folder}/`)("openai");
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const text = (content) => Buffer.from(content);
const fast = { pollIntervalMs: 20 };

const store = await client.vectorStores.create({ name: "Staff handbook", metadata: { team: "hr" } });
const leave = await client.vectorStores.files.uploadAndPoll(
  store.id, await toFile(text("Full-time staff receive 28 days of paid leave each year."), "leave.txt"), fast);
await client.vectorStores.files.update(leave.id, { vector_store_id: store.id, attributes: { year: 2024 } });

const batch = await client.vectorStores.fileBatches.uploadAndPoll(store.id, {
  files: [await toFile(text("Reports of damage are due within 14 days."), "claims.txt"),
          await toFile(Buffer.from([0x89, 0x50, 0x4e, 0x47]), "scan.png")],
}, fast);

const attached = await client.files.create({
  file: await toFile(text("The canteen opens at noon."), "canteen.txt"), purpose: "assistants",
  expires_after: { anchor: "created_at", seconds: 3600 }, access: { read: ["user:ben"] },
});
const polled = await client.vectorStores.files.createAndPoll(store.id, { file_id: attached.id }, fast);

const listed = [];
for await (const file of client.vectorStores.files.list(store.id, { limit: 2 })) listed.push(file.id);
const files = [];
for await (const file of client.files.list({ limit: 2 })) files.push(file.id);

const found = await client.vectorStores.search(store.id, {
  query: "days of paid leave", filters: { type: "gte", key: "year", value: 2024 },
});
const content = await (await client.files.content(leave.id)).text();
const vectors = await client.embeddings.create({ model: "all-MiniLM-L6-v2", input: ["leave", "claims"] });
const after = await client.vectorStores.retrieve(store.id);
await client.files.delete(leave.id);
const gone = await client.vectorStores.search(store.id, { query: "paid leave" });
const refusal = await client.vectorStores.retrieve("vs_none").catch((error) => ({ status: error.status, code: error.code }));
const deleted = await client.vectorStores.delete(store.id);

console.log(JSON.stringify({
  leave: leave.status, batch: batch.file_counts, polled: polled.status, access: attached.access,
  expires: attached.expires_at - attached.created_at, listed: listed.length, files: files.length,
  found: found.data.map((hit) => [hit.filename, hit.attributes]), content,
  dims: vectors.data.map((item) => item.embedding.length), counts: after.file_counts,
  gone: gone.data.map((hit) => hit.filename), refusal, deleted: deleted.deleted,
}));
