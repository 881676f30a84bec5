// The hand with which the tests make objects must not pretend: an object that another test has left would be taken for the test's own.
import { expect, inject, test } from "vitest";
import { KubeAdmin } from "../kit/kube-admin.ts";

test("what exists is made a second time only by those who say that it may be there", async () => {
  const admin = new KubeAdmin(inject("api"));
  const metadata = { namespace: "default", name: "kube-admin-test" };
  const object = { apiVersion: "v1", kind: "ServiceAccount", metadata };
  const { metadata: first } = await admin.create(object);
  await expect(admin.create(object)).rejects.toThrow("AlreadyExists");
  await admin.ensure(object);
  expect((await admin.get(object)).metadata["uid"]).toBe(first["uid"]);
  await admin.delete(object);
  await admin.ensure(object);
  expect((await admin.get(object)).metadata["uid"]).not.toBe(first["uid"]);
  await admin.delete(object);
});
