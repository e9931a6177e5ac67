# A nested loop by hand: Rscript glmnet.R TABLE VALUES. A row of the table is its part, its class and its numbers.
# Tells the seconds that the loop took, and the outer folds' mean log-loss.
suppressMessages(library(glmnet))
given <- commandArgs(trailingOnly = TRUE)
table <- as.matrix(read.csv(given[1], header = FALSE))
part <- table[, 1]
label <- factor(table[, 2])
X <- unname(table[, -(1:2)])
family <- if (nlevels(label) == 2) "binomial" else "multinomial"
strengths <- 10^seq(1, -4, length.out = as.integer(given[2]))

# Log-loss on some rows, at each C, of a path fitted to others.
losses <- function(train, scored) {
  lambda <- rev(1 / (strengths * sum(train)))
  fit <- glmnet(X[train, ], label[train], family, alpha = 0, lambda = lambda)
  stated <- predict(fit, X[scored, ], type = "response")
  codes <- as.integer(label[scored])
  chances <- if (family == "binomial") {
    abs(stated - (codes == 1))
  } else {
    apply(stated, 3, function(each) each[cbind(seq_along(codes), codes)])
  }
  rev(colMeans(-log(pmax(chances, 1e-15))))
}

began <- proc.time()[["elapsed"]]
parts <- sort(unique(part))
outer <- sapply(c(parts, -1), function(fold) {
  inner <- sapply(setdiff(parts, fold), function(other) {
    losses(part != fold & part != other, part == other)
  })
  best <- which.min(rowMeans(inner))
  if (fold < 0) NA else losses(part != fold, part == fold)[best]
})
cat(proc.time()[["elapsed"]] - began, mean(outer, na.rm = TRUE), "\n")
