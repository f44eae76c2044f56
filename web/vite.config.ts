import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** The stylesheet of GraphiQL carries 220 KB of fonts. The system's own do as well. */
function withoutFonts(): Plugin {
  return {
    name: 'without-fonts',
    enforce: 'pre',
    transform: {
      filter: { id: /graphiql.*\.css$/ },
      handler: (css) => css.replace(/@font-face\s*\{[^}]*\}/g, ''),
    },
  };
}

/** What the binary embeds is compressed once, here, and served as it is. */
function compressed(): Plugin {
  let directory = '';
  return {
    name: 'compressed',
    apply: 'build',
    configResolved(config) {
      directory = config.build.outDir;
    },
    async closeBundle() {
      for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const file = join(entry.parentPath, entry.name);
        await writeFile(`${file}.gz`, gzipSync(await readFile(file), { level: 9 }));
        await rm(file);
      }
    },
  };
}

/** Where a running Halftone answers while the pages are worked on. */
const halftone = process.env.HALFTONE_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  // The server puts its own path before what begins with this.
  base: './',
  plugins: [withoutFonts(), react(), compressed()],
  build: {
    outDir: process.env.WEB_OUT_DIR ?? 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'LICENSES.md' },
    rollupOptions: { input: { console: 'index.html', playground: 'playground.html' } },
  },
  server: {
    proxy: {
      '/graphql': {
        target: halftone,
        ws: true,
        changeOrigin: true,
        rewriteWsOrigin: true,
        headers: { origin: halftone },
      },
      '/results': halftone,
      '/thumbnails': halftone,
      '/sources': halftone,
      '^/images/[^/]+/.+': halftone,
    },
  },
});
