import { effectiveUserId } from "../src/libc/process.ts";

declare const BUILD_VERSION: string;

await Bun.write(Bun.stdout, `polynic ${BUILD_VERSION} uid ${effectiveUserId()}\n`);
