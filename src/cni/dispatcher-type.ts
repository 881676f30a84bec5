import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonValue } from "../json/value.ts";

/** True for the `type` of a plugin that is a dispatcher: ours, under Multus' name, or Multus' thick client. */
export function isDispatcherType(type: string): boolean {
  return type === "multus" || type === "multus-shim";
}

/** True when an object of the JSON, at any depth, is a dispatcher's config. */
export function namesDispatcher(value: JsonValue | undefined): boolean {
  if (Array.isArray(value)) return value.some((each: JsonValue) => namesDispatcher(each));
  if (!isJsonObject(value)) return false;
  const type = getField(value, "type");
  if (typeof type === "string" && isDispatcherType(type)) return true;
  return Object.values(value).some((each) => namesDispatcher(each));
}
