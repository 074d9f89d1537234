export default { optimizeDeps: { exclude: ['dual-mcmc'] } };
