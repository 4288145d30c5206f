import { after, before, describe } from "node:test";

import { acts } from "./acts.js";
import { Server, end, launch, nameOf, stores, worker } from "./harness.js";
import { pages } from "./pages.js";

before(launch);
after(end);

for (const store of stores) {
  describe(nameOf(store), () => {
    let open;
    before(async () => {
      const { ids } = await worker("feed", store);
      open = { store, ids, server: await Server.start(store) };
    });
    after(() => open?.server.child.kill());
    pages(() => open);
    acts(() => open);
  });
}
