// Kubernetes' own library for Node: its typed client, the one for any object, and an informer.

import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const anything = k8s.KubernetesObjectApi.makeApiClient(config);
const namespace = 'js';

await core.createNamespace({ body: { metadata: { name: namespace } } });
await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'a' }, data: { k: 'v' } } });
const { items } = await core.listNamespacedConfigMap({ namespace });
assert(items.some((item) => item.metadata.name === 'a'));
const missing = await core.readNamespacedConfigMap({ namespace, name: 'none' }).catch((error) => error);
assert.deepEqual([missing.code, JSON.parse(missing.body).reason], [404, 'NotFound']);

const pods = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const spec = { replicas: 1, selector: { matchLabels: { a: 'b' } }, template: pods };
const web = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace } };
await anything.create({ ...web, spec });
const merge = [undefined, undefined, undefined, undefined, k8s.PatchStrategy.MergePatch];
assert.equal((await anything.patch({ ...web, spec: { replicas: 3 } }, ...merge)).spec.replicas, 3);
assert.equal((await anything.read(web)).spec.replicas, 3);

// An informer lists, then watches from there.
const list = () => core.listNamespacedConfigMap({ namespace });
const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list);
const happened = (what, name) => new Promise((resolve) => {
    informer.on(what, (object) => object.metadata.name === name && resolve());
});
const known = happened('add', 'a');
const added = happened('add', 'b');
const deleted = happened('delete', 'b');
await informer.start();
await known;
await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'b' } } });
await added;
await core.deleteNamespacedConfigMap({ namespace, name: 'b' });
await deleted;
await informer.stop();
await core.deleteNamespace({ name: namespace });
process.exit(0);
