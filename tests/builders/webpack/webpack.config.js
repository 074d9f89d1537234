import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

// The page and the model are copied as they are; everything else is webpack's own.
const copies = {
  apply: ({ hooks }) => hooks.done.tap('copies', () => {
    mkdirSync(at('dist'), { recursive: true });
    copyFileSync(at('index.html'), at('dist/index.html'));
    copyFileSync(at('public/plane.safetensors'), at('dist/plane.safetensors'));
  }),
};

export default { mode: 'production', entry: './main.js', plugins: [copies] };
