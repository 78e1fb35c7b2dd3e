09:00:00 step 10/10 weights 100/0 pods v2=0/4 services -/- Progressing: more replicas need to be updated
09:00:00 step 10/10 weights 100/0 pods v2=0/4 services -/- Progressing: updated replicas are still becoming available
09:00:10 - the pods of v2 are available
09:00:10 step 10/10 weights 100/0 pods v2=4/4 services v2/- Progressing: waiting for all steps to complete
         > Rollout completed: revision v2 is the first and is stable
09:00:10 step 10/10 weights 100/0 pods v2=4/4 services v2/v2 Progressing: waiting for all steps to complete
09:00:10 step 10/10 weights 100/0 pods v2=4/4 services v2/v2 Healthy
09:00:11 - the stable Service's endpoints are pods of v2
