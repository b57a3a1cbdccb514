/** What does not fit the API, and is seen before it is run: the lines that say so, and no others. */
import { Groundwork } from "groundwork-client";

const groundwork = new Groundwork("");
const { api } = groundwork;

const item = (await api.createItem({ body: { title: "first", description: null } })).data;
await api.createItem({ body: { title: 1 } }); // wrong
await api.createItem({ body: {} }); // wrong
await api.createItem(); // wrong
await api.updateItem({ params: { path: { item_id: 1 } }, body: { title: null } }); // wrong
await api.listItems({ params: { query: { limits: 1 } } }); // wrong
await api.createItems(); // wrong
item.titel; // wrong
item.description.length; // wrong
groundwork.every("getItem"); // wrong

/** An entity that was added by `app add`. */
const body = { name: "a", price: "1.50", due: "2026-11-24", extra: { a: 1 } };
const numbat = (await api.createNumbat({ body })).data;
const typed: [string | null, string | null, "small" | "large"] = [numbat.due, numbat.price, numbat.size];
await api.createNumbat({ body: { name: "a", size: "medium" } }); // wrong
console.log(typed);
