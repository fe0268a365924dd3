// Densities that glmmTMB 1.1.5 has not, random effects of a dispersion, and cumulative models to more digits than
// ordinal's numeric gradients give: Laplace's approximation by TMB.
// family 0: nbinom2, 1: log-normal by mean and sd, 2: normal seen through limits, 3: Gamma by mean and shape,
// 4: cumulative, y the category from 0, thresholds turn * own.
#include <TMB.hpp>

template <class Type>
Type log_density(int family, Type lower, Type upper, Type eta, Type etad) {
  Type phi = exp(etad);
  if (family == 0) return dnbinom_robust(lower, eta, Type(2) * eta - etad, true);
  if (family == 1) {
    Type variance = log(Type(1) + phi * phi * exp(-Type(2) * eta));
    return dnorm(log(lower), eta - variance / Type(2), sqrt(variance), true) - log(lower);
  }
  if (family == 3) return dgamma(lower, phi, exp(eta) / phi, true);
  double a = asDouble(lower), b = asDouble(upper);
  if (a == b) return dnorm(lower, eta, phi, true);
  if (a < -1e300) return log(pnorm((upper - eta) / phi));
  if (b > 1e300) return log(pnorm((eta - lower) / phi));
  return log(pnorm((upper - eta) / phi) - pnorm((lower - eta) / phi));
}

template <class Type>
Type at_most(int link, Type x) {
  if (link == 0) return Type(1) / (Type(1) + exp(-x));
  if (link == 1) return pnorm(x);
  return Type(1) - exp(-exp(x));
}

template <class Type>
Type log_category(int link, vector<Type> threshold, int k, Type eta) {
  int last = threshold.size();
  if (k == 0) return log(at_most(link, threshold(0) - eta));
  if (k == last && link < 2) return log(at_most(link, eta - threshold(last - 1)));
  if (k == last) return -exp(threshold(last - 1) - eta);
  return log(at_most(link, threshold(k) - eta) - at_most(link, threshold(k - 1) - eta));
}

template <class Type>
Type objective_function<Type>::operator()() {
  DATA_INTEGER(family);
  DATA_MATRIX(y);
  DATA_VECTOR(weight);
  DATA_VECTOR(offset);
  DATA_MATRIX(X);
  DATA_MATRIX(Xd);
  DATA_MATRIX(Z);
  DATA_IVECTOR(level);
  DATA_IVECTOR(leveld);
  DATA_INTEGER(second);  // 1: the second term is one of mu
  DATA_INTEGER(link);
  DATA_MATRIX(turn);
  PARAMETER_VECTOR(beta);
  PARAMETER_VECTOR(betad);
  PARAMETER_VECTOR(theta);  // log sds, then the correlation as glmmTMB has it
  PARAMETER_VECTOR(thetad);
  PARAMETER_MATRIX(u);
  PARAMETER_VECTOR(ud);
  PARAMETER_VECTOR(own);
  vector<Type> eta = X * beta + offset, etad = Xd * betad;
  Type nll = 0;
  int k = u.cols();
  if (k) {
    matrix<Type> lower(k, k);
    lower.setZero();
    for (int i = 0; i < k; i++) lower(i, i) = exp(theta(i));
    if (k == 2) {
      Type r = theta(2) / sqrt(Type(1) + theta(2) * theta(2));
      lower(1, 0) = r * exp(theta(1));
      lower(1, 1) = exp(theta(1)) * sqrt(Type(1) - r * r);
    }
    matrix<Type> b = u * lower.transpose();
    for (int i = 0; i < u.rows(); i++)
      for (int j = 0; j < k; j++) nll -= dnorm(u(i, j), Type(0), Type(1), true);
    for (int i = 0; i < y.rows(); i++)
      for (int j = 0; j < k; j++) eta(i) += Z(i, j) * b(level(i), j);
  }
  if (ud.size()) {
    for (int i = 0; i < ud.size(); i++) nll -= dnorm(ud(i), Type(0), Type(1), true);
    for (int i = 0; i < y.rows(); i++) (second ? eta(i) : etad(i)) += exp(thetad(0)) * ud(leveld(i));
  }
  if (family == 4) {
    vector<Type> threshold = turn * own;
    for (int i = 0; i < y.rows(); i++) nll -= weight(i) * log_category(link, threshold, CppAD::Integer(y(i, 0)), eta(i));
    return nll;
  }
  for (int i = 0; i < y.rows(); i++) nll -= weight(i) * log_density(family, y(i, 0), y(i, 1), eta(i), etad(i));
  return nll;
}
