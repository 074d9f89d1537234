import 'dual-mcmc';
